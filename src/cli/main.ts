#!/usr/bin/env node
/** The bin: `netmem COMMAND`. Each command has a file of its own. */

import { readFileSync } from 'node:fs'

import { Command, CommanderError } from 'commander'

import { EXIT_CODES, Exit, SIZES } from './exit.ts'
import { superviseOutput } from './output.ts'
import { printable, printableJson } from './printable.ts'
import { nameOf } from './run.ts'

const COMMANDS = new Map<string | undefined, () => Promise<Command>>([
  ['demo', async () => (await import('./demo.ts')).demoCommand()],
  ['get', async () => (await import('./get.ts')).getCommand()],
  ['recv', async () => (await import('./recv.ts')).recvCommand()],
  ['send', async () => (await import('./send.ts')).sendCommand()],
  ['iperf3', async () => (await import('./iperf3.ts')).iperf3Command()],
  ['replay', async () => (await import('./replay.ts')).replayCommand()],
  ['pools', async () => (await import('./pools.ts')).poolsCommand()],
  ['devmem', async () => (await import('./devmem.ts')).devmemCommand()],
  ['gvnic', async () => (await import('./gvnic.ts')).gvnicCommand()],
  ['doctor', async () => (await import('./doctor.ts')).doctorCommand()],
])

/** Returns the loader of the command that the first argument names. Returns all loaders for help, and none for the version. */
function wantedCommands(): (() => Promise<Command>)[] {
  if (process.argv[2] === '-V' || process.argv[2] === '--version') return []
  const named = COMMANDS.get(process.argv[2])
  return named === undefined ? [...COMMANDS.values()] : [named]
}

const HELP = `
${SIZES}

Example:
  $ netmem demo

${EXIT_CODES}
Errors are one line on stderr, \`netmem: CODE: message\`; NODE_DEBUG=netmem adds the stack.`

superviseOutput()

const program = new Command('netmem')
  .description('receive network data straight into memory you own')
  .version(version(), '-V, --version', 'print the version')
  .helpOption('-h, --help', 'print this')
  .addHelpText('after', HELP)
const commands = await Promise.all(wantedCommands().map((load) => load()))
for (const command of commands) program.addCommand(command)
const subcommands = commands.flatMap((command) => command.commands)
for (const command of [...commands, ...subcommands]) command.helpOption('-h, --help', 'print this')
for (const command of [program, ...commands, ...subcommands]) {
  command
    .exitOverride()
    .showHelpAfterError(false)
    .configureOutput({
      outputError: (text, write) => {
        const message = usageMessage(text, command)
        write(`netmem: USAGE: ${printable(message)}\n`)
        if (asksForJson(process.argv.slice(2))) {
          const error = { code: 'USAGE', message }
          const line = { command: nameOf(command), event: 'end', exitCode: Exit.usage, error }
          const stream = command.opts()['out'] === '-' ? process.stderr : process.stdout
          stream.write(`${printableJson(line)}\n`)
        }
      },
    })
}

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  process.exitCode = error.exitCode === 0 ? Exit.ok : Exit.usage
}

/** True if `--json` is among the arguments, even if commander could not parse them. */
function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return (end === -1 ? args : args.slice(0, end)).includes('--json')
}

/** Returns commander's message in the form of netmem's errors. */
function usageMessage(text: string, command: Command): string {
  const path = command === program ? 'netmem' : `netmem ${nameOf(command)}`
  const message = text.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ')
  return `${message.trim().replace(/\.$/, '')}; see ${path} --help`
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version }: { readonly version: string } = JSON.parse(text)
  return version
}
