import type { Part } from '../../message/structure.ts';
import type { Bound } from '../bound.ts';
import { SieveRuntimeError } from '../errors.ts';
import type { Extension, Flow } from '../extension.ts';
import { partsOf } from '../fields.ts';
import { applyReplacements } from '../mime-edit.ts';
import type { Run } from '../run.ts';

/** RFC 5703: the tags of tests that look at MIME parts (fields.ts does what they say), and the loop over parts. */

const part = { group: 'mime option' };

export const mime: Extension = {
  name: 'mime',
  source: 'RFC 5703 4',
  families: { mime: { mime: {}, anychild: {} } },
  tags: {
    header: { type: part, subtype: part, contenttype: part, param: { ...part, value: 'strings' } },
  },
};

export const foreverypart: Extension = {
  name: 'foreverypart',
  source: 'RFC 5703 3',
  commands: {
    foreverypart: {
      tags: { name: { value: 'string' } },
      block: 'must',
      compile(bound, compiler) {
        const depth = compiler.blocks.filter(({ name }) => name === 'foreverypart').length;
        if (depth >= compiler.limits.loops)
          compiler.error(bound.at, `loops can be ${compiler.limits.loops} deep`);
      },
      run: loop,
    },
    break: {
      tags: { name: { value: 'string' } },
      compile(bound, compiler) {
        const name = bound.tags.get('name');
        const target = compiler.blocks.findLast(
          (block) => block.name === 'foreverypart' && (name === undefined || block.tags.get('name') === name),
        );
        if (target) bound.notes.set(TARGET, target);
        else
          compiler.error(
            bound.at,
            name === undefined ? 'there is no loop to break' : 'there is no loop of that name',
          );
      },
      run: (bound) => ({ behind: bound.notes.get(TARGET) as Bound }),
    },
  },
};

const TARGET = 'target';

async function loop(bound: Bound, run: Run): Promise<Flow> {
  if (run.loops.length >= run.limits.loops)
    throw new SieveRuntimeError(`loops can be ${run.limits.loops} deep`);
  const outer = run.loops.at(-1);
  const message = outer?.message ?? run.message;
  const parts: Iterable<Part> = outer ? childrenOf(outer.part) : partsOf(await message.structure());
  try {
    for (const each of parts) {
      run.charge(1, 0);
      if (run.isReplaced(each)) continue;
      run.loops.push({ bound, message, part: each });
      const flow = await run.block(bound.block);
      run.loops.pop();
      if (typeof flow === 'object') {
        if (flow.behind === bound) break;
        return flow;
      }
      if (flow !== 'on') return flow;
    }
    return 'on';
  } finally {
    if (!outer) await applyReplacements(run, message);
  }
}

function* childrenOf(parent: Part): Generator<Part> {
  for (const child of partsOf(parent)) if (child !== parent) yield child;
}
