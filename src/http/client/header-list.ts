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
    const wanted = name.toLowerCase()
    const first = this.#names.indexOf(wanted)
    if (first < 0) return undefined
    if (this.#names.indexOf(wanted, first + 1) < 0) return this.#values[first]
    return this.all(name).join(', ')
  }

  /**
   * @internal Value of a field that may come only once. A repeated field has a value if all of its values
   * are equal. Otherwise, and without the field, the value is `undefined`. `name` is in lower case.
   */
  single(name: string): string | undefined {
    const first = this.#names.indexOf(name)
    if (first < 0) return undefined
    const value = this.#values[first]
    for (let at = this.#names.indexOf(name, first + 1); at >= 0; ) {
      if (this.#values[at] !== value) return undefined
      at = this.#names.indexOf(name, at + 1)
    }
    return value
  }

  /** The values of all fields of that name. */
  all(name: string): string[] {
    const wanted = name.toLowerCase()
    const first = this.#names.indexOf(wanted)
    if (first < 0) return []
    return this.#values.filter((_, at) => at >= first && this.#names[at] === wanted)
  }

  *[Symbol.iterator](): IterableIterator<readonly [string, string]> {
    for (const [at, name] of this.#names.entries()) yield [name, this.#values[at] ?? '']
  }
}
