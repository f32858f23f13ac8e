import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createCsvParser, detectSeparator, MAX_RECORD_CHARS } from '../../lib/fleet/csv.ts'

const field = fc
  .array(fc.constantFrom('a', '7', '.', ' ', ',', ';', '\t', '"', '\n', '\r', '\r\n', 'é', '🙂'), {
    maxLength: 8,
  })
  .map((parts) => parts.join(''))

describe('CSV', () => {
  test('any table comes back as it was written, cut anywhere, in every line ending and separator', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(field, { minLength: 1, maxLength: 5 }), { maxLength: 6 }),
        fc.constantFrom(',', ';', '\t'),
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.boolean(),
        fc.boolean(),
        fc.array(fc.nat(200), { maxLength: 8 }),
        (rows, separator, lineEnd, mark, lastEnd, cuts) => {
          const text = rows.map((row) => row.map(quoted).join(separator)).join(lineEnd)
          const whole = (mark ? '\ufeff' : '') + text + (lastEnd ? lineEnd : '')
          expect(parse(whole, separator, cuts).map((r) => r.fields)).toEqual(rows)
        },
      ),
      { numRuns: 500 },
    )
  })

  test('a record knows the physical line on which it begins', () => {
    const records = parse('a,b\r\n\r\n"x\r\ny",2\n"u\nv\rw",3\nlast,4', ',', [1, 5, 9, 13])
    expect(records.map((r) => [r.line, r.fields[0]])).toEqual([
      [1, 'a'],
      [3, 'x\r\ny'],
      [5, 'u\nv\rw'],
      [8, 'last'],
    ])
  })

  test('a quote that is never closed costs its own line and no other', () => {
    const records = parse('a,1\nb,"2\nc,3\nd,4\n', ',', [])
    expect(records.map((r) => [r.line, r.fields.join('|'), r.fault])).toEqual([
      [1, 'a|1', null],
      [2, '', 'opens a quote that is never closed'],
      [3, 'c|3', null],
      [4, 'd|4', null],
    ])
  })

  test('an open quote is given up after a bound, not at the end of an endless file', () => {
    const parser = createCsvParser(',')
    const first = parser.push('a,"1\n' + 'row,2\n'.repeat(MAX_RECORD_CHARS / 6))
    expect(first[0]?.fault).toBe('opens a quote that is never closed')
    expect(first[1]).toEqual({ line: 2, fields: ['row', '2'], fault: null })
  })

  test('a line without an end is one fault, however long, and the next line is read', () => {
    const parser = createCsvParser(',')
    const records = []
    for (let i = 0; i < 20; i++) records.push(...parser.push('x'.repeat(MAX_RECORD_CHARS / 4)))
    records.push(...parser.push('1,2\ngood,3\n'), ...parser.end())
    expect(records).toEqual([
      { line: 1, fields: [], fault: 'is too long' },
      { line: 2, fields: ['good', '3'], fault: null },
    ])
  })

  test('text after a closing quote is a fault', () => {
    expect(parse('"a"b,1\n', ',', [])[0]?.fault).toBe('has text after a closing quote')
    expect(parse('"a" ,1\n', ',', [])[0]).toEqual({ line: 1, fields: ['a', '1'], fault: null })
  })

  test.each([
    ['time,value\n1,2\n', ',', 'the usual'],
    ['datetime;a;b\n1;2;3\n', ';', 'semicolons'],
    ['a\tb\n1\t2\n', '\t', 'tabs'],
    ['value\n1\n2\n', ',', 'one column has none'],
    ['2020-01-01;1,5\n2020-01-02;1,7\n', ';', 'as many commas as semicolons: commas stand in numbers'],
    ['a;b,c,d\n1;2\n3;4\n', ';', 'the one that every line has equally often'],
    ['"a,b,c";d\n"1,2,3";4\n', ';', 'quoted ones do not count'],
    ['', ',', 'nothing to see'],
  ])('the separator of %j is %j (%s)', (sample, separator) => {
    expect(detectSeparator(sample)).toBe(separator)
  })
})

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`
}

function parse(text: string, separator: string, cuts: number[]) {
  const parser = createCsvParser(separator)
  const at = [0, ...cuts.toSorted((a, b) => a - b), text.length].map((n) => Math.min(n, text.length))
  return [...at.slice(1).flatMap((to, i) => parser.push(text.slice(at[i], to))), ...parser.end()]
}
