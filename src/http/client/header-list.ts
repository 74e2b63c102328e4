/** Header fields in the order of the head. Names are compared without case (RFC 9110, 5.1). */

/** Header fields as the peer sent them. Iterating yields name, in lower case, and value. */
export class HeaderList implements Iterable<readonly [string, string]> {
  readonly #names: readonly string[]
  readonly #values: readonly string[]

  /** @internal `names` in lower case. */
  constructor(names: readonly string[], values: readonly string[]) {
    this.#names = names
    this.#values = values
  }

  /** Fields in it, repeated ones included. */
  get size(): number {
    return this.#names.length
  }

  /**
   * Value of a field, or `undefined` without the field. Values of a repeated field are joined with `, `.
   */
  get(name: string): string | undefined {
    const values = this.all(name)
    return values.length === 0 ? undefined : values.join(', ')
  }

  /**
   * @internal Value of a field that may come only once. A repeated field has a value if all of its values
   * are equal. Otherwise, and without the field, the value is `undefined`.
   */
  single(name: string): string | undefined {
    const [value, ...others] = this.all(name)
    return others.every((other) => other === value) ? value : undefined
  }

  /** The values of all fields of that name. */
  all(name: string): string[] {
    const wanted = name.toLowerCase()
    // Most fields that are asked for are absent.
    if (!this.#names.includes(wanted)) return []
    return this.#values.filter((_, at) => this.#names[at] === wanted)
  }

  *[Symbol.iterator](): IterableIterator<readonly [string, string]> {
    for (const [at, name] of this.#names.entries()) yield [name, this.#values[at] ?? '']
  }
}
