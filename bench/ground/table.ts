/** Figures as a table on standard error, for who reads; standard output keeps the JSON. What lies deeper is named by its path. */
export function showTable(rows: readonly object[]): void {
  console.error(Bun.inspect.table(rows.map((row) => Object.fromEntries(cellsOf(row)))))
}

/** One run's figures, one below the other. */
export function showFigures(figures: object): void {
  showTable(cellsOf(figures).map(([figure, value]) => ({ figure, value })))
}

function cellsOf(row: object, path = ''): [string, unknown][] {
  return Object.entries(row).flatMap(([name, value]): [string, unknown][] => {
    if (isSpread(value)) return [[path + name, `${value.median} (${value.least}–${value.most})`]]
    if (typeof value === 'object' && value !== null) return cellsOf(value, `${path}${name} `)
    return [[path + name, value]]
  })
}

export interface Spread {
  least: number
  median: number
  most: number
}

function isSpread(value: unknown): value is Spread {
  return typeof value === 'object' && value !== null && 'median' in value && 'least' in value
}
