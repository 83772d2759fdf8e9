import type { ThreadAlgorithm } from '../../message/threads.ts';
import type { UidThreads } from '../../store/store.ts';
import { type Command, command, type ImapSession, type Ok } from '../command.ts';
import { ImapBad } from '../errors.ts';
import { checkThreaded } from '../message-limit.ts';
import type { Parser } from '../parser.ts';
import { withNotices } from '../progress.ts';
import { parseCharsetAndProgram, type SearchProgram } from '../search-program.ts';
import { type Tree, threadText } from '../thread-text.ts';

const ALGORITHMS: ReadonlyMap<string, ThreadAlgorithm> = new Map([
  ['ORDEREDSUBJECT', 'orderedsubject'],
  ['REFERENCES', 'references'],
  ['REFS', 'refs'],
]);

interface Arguments {
  readonly by: 'uid' | 'sequence';
  readonly algorithm: ThreadAlgorithm;
  readonly program: SearchProgram;
}

/** THREAD and UID THREAD (RFC 5256 3; REFS by draft-ietf-morg-inthread). */
export const thread: Command = command({
  name: 'THREAD',
  states: ['selected'],
  uid: 'also',
  capability: [...ALGORITHMS.keys()].map((name) => `THREAD=${name}`),
  expunges: 'held',
  parse,

  async run(session, { by, algorithm, program: written }): Promise<Ok | undefined> {
    const { selected, store, out } = session;
    const program = await written.complete(session);
    if (program.modSeq) session.enableCondstore();
    const criteria = await program.criterion(session);
    checkThreaded(session, criteria);
    const found =
      selected.exists === 0
        ? undefined
        : await withNotices(session, store.thread(selected.id, criteria, algorithm));
    out.add('* THREAD');
    // A space only where threads follow (RFC 5256 4, thread-data); a tree that the client knows nothing of is no text.
    let before = ' ';
    if (found)
      for (const text of threadText(treesOf(session, found, by))) {
        if (text !== '') out.add(before + text);
        if (text !== '') before = '';
        if (out.full) await out.flush();
      }
    out.add('\r\n');
    return program.sequences || by === 'sequence' ? { expunges: 'later' } : undefined;
  },
});

function parse(p: Parser): Arguments {
  p.sp();
  const at = p.at;
  const algorithm = ALGORITHMS.get(p.keyword());
  if (!algorithm) throw new ImapBad('No such threading algorithm', at);
  return { by: p.uid ? 'uid' : 'sequence', algorithm, program: parseCharsetAndProgram(p.sp()) };
}

/** With the numbers that the client knows; what it has not been told of yet is left out, as is a parent that is gone. */
function* treesOf(
  { selected }: ImapSession,
  { uids, levels }: UidThreads,
  by: Arguments['by'],
): Generator<Tree> {
  let tree: Tree = [];
  for (let at = 0; at < uids.length; at++) {
    const uid = uids[at] ?? 0;
    const level = levels[at] ?? 0;
    if (level === 0 && tree.length > 0) {
      yield tree;
      tree = [];
    }
    const sequence = uid === 0 ? 0 : selected.sequenceOf(uid);
    tree.push({ number: sequence === 0 ? 0 : by === 'uid' ? uid : sequence, level });
  }
  if (tree.length > 0) yield tree;
}
