import { readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MaildirAccount } from '../../src/store/maildir/account.ts';
import { annotate, annotationsOf } from '../../src/store/maildir/annotate.ts';
import { formatAnnotations, parseAnnotations } from '../../src/store/maildir/annotations-file.ts';
import { createMailbox, listMailboxes } from '../../src/store/maildir/mailboxes.ts';
import { ACCOUNT, StoreError } from '../../src/store/store.ts';
import { openAccount, temporaryDirectory } from './surroundings.ts';

let base: ReturnType<typeof temporaryDirectory>;
let account: MaildirAccount;
beforeEach(() => {
  base = temporaryDirectory();
  account = openAccount(base.path);
});
afterEach(() => {
  account.close('unclean');
  base.remove();
});

const set = (name: string, value: string | null) => ({ entries: new Map([[name, value]]), by: '' });

test('annotations and special uses survive the loss of the index', () => {
  const { id } = createMailbox(account, 'Work', null);
  annotate(account, id, { ...set('/shared/comment', 'é\0\r\n'), specialUse: 'sent' });
  annotate(account, ACCOUNT, set('/private/comment', 'mine'));
  account.close('unclean');
  for (const name of readdirSync(base.path)) if (name.startsWith('index')) rmSync(`${base.path}/${name}`);
  account = openAccount(base.path);
  expect([...annotationsOf(account, id)]).toEqual([['/shared/comment', 'é\0\r\n']]);
  expect([...annotationsOf(account, ACCOUNT)]).toEqual([['/private/comment', 'mine']]);
  const uses = listMailboxes(account).map(({ path, specialUse }) => [path, specialUse]);
  expect(uses).toEqual([
    ['INBOX', null],
    ['Sent', null],
    ['Work', 'sent'],
  ]);
});

test('the file is there while there is something to keep, and is text', () => {
  const { id } = createMailbox(account, 'Work', null);
  const file = `${base.path}/Maildir/.Work/facteur-annotations`;
  annotate(account, id, set('/private/my note', 'hi'));
  annotate(account, id, set('/private/empty', ''));
  expect(readFileSync(file, 'latin1')).toBe(
    'facteur-annotations 1\n/private/my%20note aGk=\n/private/empty -\nend\n',
  );
  annotate(account, id, set('/private/my note', null));
  annotate(account, id, set('/private/empty', null));
  expect(readdirSync(`${base.path}/Maildir/.Work`).sort()).toEqual(
    ['cur', 'facteur-uid', 'maildirfolder', 'new', 'tmp'].sort(),
  );
});

test('what cannot be written changes nothing, the special use included', () => {
  const { id } = createMailbox(account, 'Work', null);
  annotate(account, id, set('/private/comment', 'before'));
  const folder = account.folderAt('Work');
  const write = account.writeFolderFile.bind(account);
  account.writeFolderFile = (which) => {
    if (which === folder) throw new StoreError('disk-full', 'no room');
    write(which);
  };
  expect(() => annotate(account, id, { ...set('/private/comment', 'after'), specialUse: 'junk' })).toThrow(
    'no room',
  );
  expect([...annotationsOf(account, id)]).toEqual([['/private/comment', 'before']]);
  expect(folder.use).toBe(null);
  // Nor when it is the one that has the use which cannot be written.
  const sent = account.folderAt('Sent');
  account.writeFolderFile = (which) => {
    if (which === sent) throw new StoreError('disk-full', 'no room');
    write(which);
  };
  expect(() => annotate(account, id, { ...set('/private/comment', 'after'), specialUse: 'sent' })).toThrow(
    'no room',
  );
  expect([...annotationsOf(account, id)]).toEqual([['/private/comment', 'before']]);
  expect([folder.use, sent.use]).toEqual([null, 'sent']);
  expect(readFileSync(`${base.path}/Maildir/.Work/facteur-uid`, 'latin1')).not.toContain('use');
});

test('a file that somebody spoiled has what can still be read; one of a newer version is left alone', () => {
  const { id } = createMailbox(account, 'Work', null);
  const file = `${base.path}/Maildir/.Work/facteur-annotations`;
  writeFileSync(
    file,
    'facteur-annotations 1\n/private/a YQ==\nnonsense\n/private/b %%\n/private/%FF YQ==\n/private/c Yw==',
  );
  expect([...annotationsOf(account, id)]).toEqual([
    ['/private/a', 'a'],
    ['/private/c', 'c'],
  ]);
  writeFileSync(file, '');
  expect(annotationsOf(account, id).size).toBe(0);
  writeFileSync(file, 'facteur-annotations 2\n');
  expect(() => annotate(account, id, set('/private/a', 'b'))).toThrow(StoreError);
  expect(readFileSync(file, 'latin1')).toBe('facteur-annotations 2\n');
});

test('a link is no file: it could lead to another account', () => {
  const { id } = createMailbox(account, 'Work', null);
  annotate(account, ACCOUNT, set('/private/secret', 'x'));
  const link = `${base.path}/Maildir/.Work/facteur-annotations`;
  symlinkSync('../facteur-account-annotations', link);
  expect(annotationsOf(account, id).size).toBe(0);
  annotate(account, id, set('/private/a', 'b'));
  expect([...annotationsOf(account, id).keys()]).toEqual(['/private/a']);
  expect([...annotationsOf(account, ACCOUNT).keys()]).toEqual(['/private/secret']);
});

test('what is written is read again; whatever is read throws nothing', () => {
  const name = fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
  });
  const value = fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('latin1'));
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          name.map((text) => `/private/${text}`),
          value,
        ),
      ),
      (entries) => {
        const annotations = new Map(entries);
        expect(parseAnnotations(formatAnnotations(annotations))).toEqual(annotations);
      },
    ),
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      parseAnnotations(`facteur-annotations 1\n/private/${text}`);
    }),
  );
});
