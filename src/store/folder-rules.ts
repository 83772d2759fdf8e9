import type { SpecialUse } from './store.ts';

/**
 * Settings that are meant for some folders: by name, where `*` stands for anything and `%` for anything within one level
 * as in LIST (RFC 9051 6.3.9), or by special use (RFC 6154). The first rule that fits counts.
 */

export interface FolderRule {
  readonly folder?: string | undefined;
  readonly use?: SpecialUse | undefined;
}

export function ruleFor<Rule extends FolderRule>(
  rules: readonly Rule[],
  folder: { readonly path: string; readonly use: SpecialUse | null },
): Rule | undefined {
  return rules.find((rule) => fits(rule, folder));
}

function fits(
  rule: FolderRule,
  { path, use }: { readonly path: string; readonly use: SpecialUse | null },
): boolean {
  if (rule.use !== undefined && rule.use !== use) return false;
  return rule.folder === undefined || matches(rule.folder, path);
}

/** Never more steps than the pattern is long times the name: after a wildcard only the last one is tried again. */
function matches(pattern: string, path: string): boolean {
  // INBOX is one name in any case (RFC 9051 5.1).
  const wanted = pattern.replace(/^inbox(?=\/|$)/i, 'INBOX');
  let reached = new Set([0]);
  for (const character of wanted) {
    const next = new Set<number>();
    for (const at of reached) {
      if (character !== '*' && character !== '%') {
        if (path[at] === character) next.add(at + 1);
        continue;
      }
      for (let end = at; end <= path.length && !next.has(end); end++) {
        next.add(end);
        if (character === '%' && path[end] === '/') break;
      }
    }
    if (next.size === 0) return false;
    reached = next;
  }
  return reached.has(path.length);
}
