import { readFileSync } from 'node:fs';

/** The version in package.json, which stands one floor above both src/ and dist/. */
export function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  return String((JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version);
}
