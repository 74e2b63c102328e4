/** The former name of a token; goes when no receiver keeps tokens beside handles. */

export type { Token as Keeper } from './tokens.ts'
