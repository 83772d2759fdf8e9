import { createHash } from 'node:crypto';
import type { Extension } from '../extension.ts';

/** RFC 7352. What was seen is remembered by the host when the run has come to its end. */

/** RFC 7352 3.2 leaves it to us; Pigeonhole's. */
const SECONDS = 12 * 3600;

export const duplicate: Extension = {
  name: 'duplicate',
  source: 'RFC 7352',
  tests: {
    duplicate: {
      tags: {
        handle: { value: 'string' },
        header: { group: 'id', value: 'string' },
        uniqueid: { group: 'id', value: 'string' },
        seconds: { value: 'number' },
        last: {},
      },
      async check({ tags }, run) {
        const header = tags.has('header') ? run.text(tags.get('header')) : 'message-id';
        const [field] = run.message.named(header.toLowerCase());
        const id = tags.has('uniqueid') ? run.text(tags.get('uniqueid')) : field?.value;
        // RFC 7352 3.1: a message without the field is never one.
        if (id === undefined || id === '') return false;
        const kind = tags.has('uniqueid') ? '' : header.toLowerCase();
        const digest = createHash('sha256').update(`${kind}\0${id}`).digest('base64url');
        const seconds = tags.has('seconds') ? run.number(tags.get('seconds')) : SECONDS;
        return run.host.isDuplicate(run.text(tags.get('handle')), digest, seconds, tags.has('last'));
      },
    },
  },
};
