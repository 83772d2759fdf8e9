import { LITERAL_CAPABILITY } from './command-reader.ts';
import { commands } from './commands/index.ts';
import { fetchItems } from './fetch/index.ts';
import { searchKeys } from './search/index.ts';

/** The capabilities that the loaded commands, items and keys declare, each once, in alphabetical order. */
export function loadedCapabilities(): readonly string[] {
  const names = new Set<string>([LITERAL_CAPABILITY]);
  for (const each of [...commands, ...fetchItems, ...searchKeys])
    for (const name of [each.capability ?? []].flat()) names.add(name);
  return [...names].sort();
}
