import { isMap, isScalar, parseDocument } from 'yaml';

/** The dotted names of all settings that a YAML text sets. */
export function documentedSettings(text: string): ReadonlySet<string> {
  const names = new Set<string>();
  walk(parseDocument(text).contents, '');
  return names;

  function walk(node: unknown, prefix: string): void {
    names.add(prefix);
    if (!isMap(node)) return;
    for (const { key, value } of node.items) {
      if (isScalar(key)) walk(value, prefix === '' ? String(key.value) : `${prefix}.${String(key.value)}`);
    }
  }
}
