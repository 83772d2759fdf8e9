import type { Bound } from '../bound.ts';
import { SieveRuntimeError } from '../errors.ts';
import type { Extension } from '../extension.ts';
import { newField } from '../header-text.ts';
import { enclosed, replaceWhole, textEntity } from '../mime-edit.ts';
import type { Run } from '../run.ts';
import { isScriptAddress } from '../script-address.ts';

/** RFC 5703 5 and 6. */

export const replace: Extension = {
  name: 'replace',
  source: 'RFC 5703 5',
  commands: {
    replace: {
      tags: { mime: {}, subject: { value: 'string' }, from: { value: 'string' } },
      arguments: ['string'],
      compile({ at, tags }, compiler) {
        if (tags.has('mime') && (tags.has('subject') || tags.has('from')))
          compiler.error(at, ':subject and :from do not go with :mime');
        const from = tags.get('from');
        if (typeof from === 'string' && !isScriptAddress(from))
          compiler.error(at, `:from is no address: ${from}`);
      },
      run: replacePart,
    },
  },
};

export const enclose: Extension = {
  name: 'enclose',
  source: 'RFC 5703 6',
  commands: {
    enclose: {
      tags: { subject: { value: 'string' }, headers: { value: 'strings' }, text: {} },
      arguments: ['string'],
      run: encloseMessage,
    },
  },
};

function replacePart(bound: Bound, run: Run): void {
  const text = run.text(bound.args[0]);
  const entity = bound.tags.has('mime') ? Buffer.from(text.replace(/\r?\n/g, '\r\n')) : textEntity(text);
  run.charge(1, text.length);
  const loop = run.loops.at(-1);
  if (loop && loop.part.header.start > 0) {
    run.replacements.set(loop.part, entity);
    return;
  }
  const tag = (name: string): string | null => (bound.tags.has(name) ? run.text(bound.tags.get(name)) : null);
  const from = tag('from');
  if (from !== null && !isScriptAddress(from))
    throw new SieveRuntimeError(`:from is no address: ${from}`, bound.at);
  if (loop) run.replacements.set(loop.part, entity);
  else run.message = replaceWhole(run.message, entity, { subject: tag('subject'), from });
}

async function encloseMessage(bound: Bound, run: Run): Promise<void> {
  const { message } = run;
  const wanted = new Set(run.texts(bound.tags.get('headers')).map((name) => name.toLowerCase()));
  wanted.add('received');
  const fields = message.fields.filter(({ name }) => wanted.has(name));
  const [subject] = message.named('subject');
  if (bound.tags.has('subject')) fields.push(newField('Subject', run.text(bound.tags.get('subject'))));
  else if (subject && !wanted.has('subject')) fields.push(subject);
  if (!wanted.has('from')) fields.push(newField('From', `<${run.host.account}>`));
  if (!wanted.has('date')) fields.push(newField('Date', run.host.dateText()));
  run.charge(1, message.size);
  run.unenclosed ??= message;
  run.message = await enclosed(message, run.text(bound.args[0]), fields, run.host.boundary());
}
