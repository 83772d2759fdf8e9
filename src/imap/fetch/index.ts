import { emailId, envelope, flags, internalDate, modSeq, saveDate, threadId, uid } from './attributes.ts';
import { binary, binaryPeek, binarySize } from './binary.ts';
import { body, bodyPeek, bodyStructure } from './body.ts';
import type { FetchItem } from './item.ts';
import { preview } from './preview.ts';
import { rfc822, rfc822Header, rfc822Size, rfc822Text } from './rfc822.ts';

/** All items that FETCH knows. */
export const fetchItems: readonly FetchItem[] = [
  binary,
  binaryPeek,
  binarySize,
  body,
  bodyPeek,
  bodyStructure,
  emailId,
  envelope,
  flags,
  internalDate,
  modSeq,
  preview,
  rfc822,
  rfc822Header,
  rfc822Size,
  rfc822Text,
  saveDate,
  threadId,
  uid,
];
