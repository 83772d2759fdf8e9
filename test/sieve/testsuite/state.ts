import type { SieveAction } from '../../../src/sieve/action.ts';
import type { Script } from '../../../src/sieve/compile.ts';
import type { Extension } from '../../../src/sieve/extension.ts';
import { addressesIn } from '../../../src/sieve/fields.ts';
import type { Envelope } from '../../../src/sieve/host.ts';
import { LIMITS, type SieveLimits } from '../../../src/sieve/limits.ts';
import { MessageVersion } from '../../../src/sieve/message.ts';
import type { Run } from '../../../src/sieve/run.ts';

/** What a file of the test suite has changed so far; a new file begins with a new one. */
export class State {
  /** All words of the product, and those of the suite. */
  extensions: readonly Extension[] = [];
  /** Of the file itself, for scripts that it names. */
  readonly directory: string;
  readonly config: Map<string, string> = new Map<string, string>();
  /** As they were at the last reload. */
  active: ReadonlyMap<string, string> = new Map();
  readonly folders: Map<string, Stored[]> = new Map<string, Stored[]>([['INBOX', []]]);
  readonly annotations: Map<string, string> = new Map<string, string>();
  readonly seen: Map<string, number> = new Map<string, number>();
  /** What vacation and others remember. */
  readonly memory: Map<string, string> = new Map<string, string>();
  executions: number = 0;
  outbox: Sent[] = [];
  bytes: Uint8Array = crlf(DEFAULT_MESSAGE);
  envelope: Envelope = { from: '', to: '' };
  script: Script | undefined;
  readonly binaries: Map<string, Script | undefined> = new Map<string, Script | undefined>();
  /** The file's own run: what it does itself is pending until a script of its own has run. */
  file: Run | undefined;
  result: Run | undefined;
  readonly done: Set<unknown> = new Set<unknown>();
  errors: string[] = [];
  failures: { test: string; reason: string }[] = [];
  tests: string[] = [];
  current: string | undefined;

  constructor(directory: string) {
    this.directory = directory;
    this.setMessage(this.bytes);
  }

  get actions(): readonly SieveAction[] {
    return this.result?.actions ?? [];
  }

  account(): string {
    return this.setting('sieve_user_email') ?? this.envelope.to;
  }

  setting(name: string): string | undefined {
    return this.active.get(name)?.trim();
  }

  number(name: string): number | undefined {
    const text = this.setting(name);
    const match = /^(\d+)\s*([kMG]?)/i.exec(text ?? '');
    if (!match) return undefined;
    return Number(match[1]) * ({ k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[(match[2] ?? '').toLowerCase()] ?? 1);
  }

  limits(): SieveLimits {
    return {
      ...LIMITS,
      variable:
        this.number('sieve_variables_max_variable_size') ??
        this.number('sieve_variables_max_value_size') ??
        LIMITS.variable,
      notifications: this.number('sieve_notify_max_notifications') ?? 10,
      characters: (this.number('sieve_max_cpu_time') ?? 100) * 5_000_000,
      variables: this.number('sieve_variables_max_variables') ?? LIMITS.variables,
      includeDepth: this.number('sieve_include_max_nesting_depth') ?? LIMITS.includeDepth,
      includes: this.number('sieve_include_max_includes') ?? LIMITS.includes,
      fieldValue: this.number('sieve_editheader_max_header_size') ?? LIMITS.fieldValue,
    };
  }

  setMessage(bytes: Uint8Array): void {
    this.bytes = bytes;
    const message = this.message();
    const first = (...names: string[]): string | undefined => {
      for (const name of names) {
        const [field] = message.named(name);
        if (field) return bare(field.value);
      }
      return undefined;
    };
    const to = first('envelope-to', 'to') ?? 'recipient@example.com';
    this.envelope = {
      from: first('return-path', 'sender', 'from') ?? 'sender@example.com',
      to,
      origTo: to,
    };
  }

  message(): MessageVersion {
    const { bytes } = this;
    return MessageVersion.original(bytes, bytes.length, () => Promise.resolve(bytes));
  }
}

export interface Stored {
  readonly bytes: Uint8Array;
  readonly flags: readonly string[];
}

export interface Sent {
  readonly from: string;
  readonly to: string;
  readonly bytes: Uint8Array;
}

const DEFAULT_MESSAGE = 'From: sender@example.com\nTo: recipient@example.org\nSubject: Frop!\n\nFriep!\n';

export function crlf(text: string): Uint8Array {
  return Buffer.from(text.replace(/\r?\n/g, '\r\n'));
}

function bare(value: string): string {
  const [address] = addressesIn(value);
  return address?.local == null || address.domain == null ? '' : `${address.local}@${address.domain}`;
}
