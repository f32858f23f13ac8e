/** Roles without login, granted to the user of DATABASE_URL; each program takes its own on (`set role`). */
export const ROLES = ['migrator', 'consumer', 'producer', 'monitor'] as const
export type Role = (typeof ROLES)[number]
