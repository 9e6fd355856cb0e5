/** Aligns columns; numbers (cells that begin with a digit) to the right. */
export function table(rows: readonly (readonly string[])[], indent = "  "): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    }
  }
  return rows
    .map((row) =>
      (
        indent +
        row
          .map((cell, column) => {
            const width = widths[column] ?? 0;
            return /^[\d-]/.test(cell) && column > 0 ? cell.padStart(width) : cell.padEnd(width);
          })
          .join("  ")
      ).trimEnd(),
    )
    .join("\n");
}
