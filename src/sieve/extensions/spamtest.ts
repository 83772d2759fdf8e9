import { RE2JS } from 're2js';
import type { Extension, Test } from '../extension.ts';
import type { StatusOptions } from '../host.ts';
import { readable } from '../message.ts';
import type { Run } from '../run.ts';

/** RFC 5235: what a spam or virus checker wrote into the header, on a scale that scripts can rely on. */

export const spamtest: Extension = {
  name: 'spamtest',
  source: 'RFC 5235 2.2',
  tests: { spamtest: status('spamtest', 10) },
};

export const spamtestplus: Extension = {
  name: 'spamtestplus',
  source: 'RFC 5235 2.3',
  implies: ['spamtest'],
  tags: { spamtest: { percent: {} } },
};

export const virustest: Extension = {
  name: 'virustest',
  source: 'RFC 5235 2.4',
  tests: { virustest: status('virustest', 5) },
};

function status(name: 'spamtest' | 'virustest', best: number): Test {
  return {
    takes: ['match'],
    arguments: ['string'],
    check(bound, run) {
      const ratio = ratioOf(run, run.host[name]);
      const keys = [run.text(bound.args[0])];
      // RFC 5235 2.2: `:count` counts whether it was tested.
      if (bound.tags.has('count')) return run.match(bound, ratio === undefined ? [] : ['1'], keys);
      return run.match(bound, [scaled(ratio, bound.tags.has('percent') ? 100 : best)], keys);
    },
  };
}

/** 0: not tested; of 100, percents; else 1 is the cleanest. */
function scaled(ratio: number | undefined, best: number): string {
  if (ratio === undefined) return '0';
  return String(best === 100 ? Math.floor(ratio * 100 + 0.001) : Math.floor(ratio * (best - 1) + 0.001) + 1);
}

/** Between 0 and 1; undefined where the message was not tested. */
function ratioOf(run: Run, options: StatusOptions | undefined): number | undefined {
  if (!options) return undefined;
  const found = fieldValue(run, options.header, options.pattern);
  if (found === undefined) return undefined;
  if (options.type === 'text') {
    const at = options.texts.indexOf(found);
    return at <= 0 ? undefined : Math.min(1, (at - 1) / (options.maxValue - 1));
  }
  const most = options.maxHeader === undefined ? options.maxValue : Number(maximum(run, options));
  const value = options.type === 'strlen' ? found.length : Number.parseFloat(found);
  return most > 0 && Number.isFinite(value) ? Math.min(1, Math.max(0, value / most)) : undefined;
}

function maximum(run: Run, { maxHeader = '', maxPattern = '' }: StatusOptions): string {
  return fieldValue(run, maxHeader, maxPattern) ?? '';
}

/** What the pattern finds in the first field of this name: its first group, or all of it; without pattern, the value. */
function fieldValue(run: Run, header: string, pattern: string): string | undefined {
  for (const { value } of run.message.named(header.toLowerCase())) {
    const text = readable(value);
    if (pattern === '') return text.trim();
    run.charge(1, text.length * 20);
    const matcher = RE2JS.compile(pattern).matcher(text);
    if (matcher.find()) return matcher.group(Math.min(1, matcher.groupCount())) ?? '';
  }
  return undefined;
}
