import { createBooks, seedBook, type Books } from '../../lib/alarm/books.ts'
import { parseConfig } from '../../lib/config.ts'
import { createDatabase, type Database } from '../../lib/db/connect.ts'
import { database } from '../stack.ts'

/** A database of its own, with the rule book of a plant that configured nothing. */
export async function seeded(): Promise<{ db: Database; books: Books }> {
  const { url } = await database()
  const db = createDatabase(url, { name: 'test', max: 3 })
  await seedBook(db.sql, parseConfig({}))
  const books = createBooks(db)
  await books.refresh()
  return { db, books }
}
