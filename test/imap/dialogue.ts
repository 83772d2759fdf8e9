import { expect } from 'vitest';
import type { Client } from './world.ts';

/**
 * Plays a dialogue as the RFCs print them: `C: ` is sent, `S: ` must come, in this order and in these words; lines that
 * are indented further continue the one before, `//` is a remark. Of a tagged answer only status and response code are
 * compared: the words after them are each server's own. `[...]` stands for anything.
 */
export async function play(client: Client, dialogue: string): Promise<void> {
  for (const { who, text } of lines(dialogue)) {
    if (who === 'C') {
      client.send(`${text}\r\n`);
      continue;
    }
    const response = await client.response();
    if (text.includes('[...]')) expect(response).toMatch(pattern(text));
    else expect(inShort(response)).toBe(inShort(text));
  }
}

function lines(dialogue: string): { readonly who: 'C' | 'S'; text: string }[] {
  const found: { who: 'C' | 'S'; text: string }[] = [];
  for (const line of dialogue.split('\n')) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('//')) continue;
    const start = /^([CS]): ?(.*)$/.exec(trimmed);
    const last = found.at(-1);
    if (start) found.push({ who: start[1] === 'C' ? 'C' : 'S', text: start[2] ?? '' });
    else if (last) last.text += ` ${trimmed}`;
  }
  return found;
}

/** `A01 OK [READ-WRITE] done` as `A01 OK [READ-WRITE]`; likewise `* OK` and `* NO`. */
function inShort(response: string): string {
  return /^\S+ (?:OK|NO|BAD)(?: \[[^\]]*\])?/.exec(response)?.[0] ?? response;
}

function pattern(text: string): RegExp {
  const parts = text.split('[...]').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('[^]*')}$`);
}
