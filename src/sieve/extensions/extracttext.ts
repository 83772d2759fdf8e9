import type { Extension } from '../extension.ts';
import { partText } from '../part-text.ts';
import type { Run } from '../run.ts';
import { assign, checkVariable, MODIFIERS, modified, nameOf } from './variables.ts';

/** RFC 5703 7. */
export const extracttext: Extension = {
  name: 'extracttext',
  source: 'RFC 5703 7',
  needs: ['variables', 'foreverypart'],
  commands: {
    extracttext: {
      tags: {
        first: { value: 'number' },
        ...MODIFIERS,
      },
      arguments: ['string'],
      compile(bound, compiler) {
        checkVariable(bound, compiler);
        if (!compiler.blocks.some(({ name }) => name === 'foreverypart'))
          compiler.error(bound.at, 'extracttext stands in a foreverypart loop only');
      },
      async run(bound, run) {
        const most = bound.tags.has('first') ? run.number(bound.tags.get('first')) : run.limits.variable;
        const text = cut(await currentText(run), Math.min(most, run.limits.variable));
        assign(run, nameOf(bound), modified(bound, run, text));
      },
    },
  },
};

async function currentText(run: Run): Promise<string> {
  const loop = run.loops.at(-1);
  if (!loop || loop.part.children.length > 0 || loop.part.message) return '';
  run.charge(1, loop.part.body.end - loop.part.body.start);
  return partText(loop.message, loop.part, 'shown');
}

function cut(text: string, characters: number): string {
  return text.length <= characters ? text : [...text.slice(0, characters * 2)].slice(0, characters).join('');
}
