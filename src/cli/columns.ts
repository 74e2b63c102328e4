/** Aligns the cells of a table. */

/**
 * Returns a line for each row, its cells two spaces apart.
 *
 * @param text Numbers of the columns that are aligned left. Numbers are aligned right.
 */
export function alignColumns(
  rows: readonly (readonly string[])[],
  text: ReadonlySet<number>,
): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    rows.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0),
  )
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return text.has(column) ? cell.padEnd(width) : cell.padStart(width)
      })
      .join('  ')
      .trimEnd(),
  )
}
