import type { Command } from '../command.ts';
import { deleteAcl, getAcl, listRights, myRights, setAcl } from './acl.ts';
import { append } from './append.ts';
import { authenticate } from './authenticate.ts';
import { cancelUpdate } from './cancel-update.ts';
import { capability } from './capability.ts';
import { close } from './close.ts';
import { compress } from './compress.ts';
import { copy, move } from './copy.ts';
import { create } from './create.ts';
import { remove, rename } from './delete.ts';
import { enable } from './enable.ts';
import { esearch } from './esearch.ts';
import { expunge } from './expunge.ts';
import { fetch } from './fetch.ts';
import { id } from './id.ts';
import { idle } from './idle.ts';
import { language } from './language.ts';
import { list } from './list.ts';
import { login } from './login.ts';
import { logout } from './logout.ts';
import { lsub } from './lsub.ts';
import { getMetadata, setMetadata } from './metadata.ts';
import { namespace } from './namespace.ts';
import { check, noop } from './noop.ts';
import { notify } from './notify.ts';
import { getQuota, getQuotaRoot, setQuota } from './quota.ts';
import { replace } from './replace.ts';
import { search } from './search.ts';
import { examine, select } from './select.ts';
import { sort } from './sort.ts';
import { starttls } from './starttls.ts';
import { status } from './status.ts';
import { store } from './store.ts';
import { subscribe, unsubscribe } from './subscribe.ts';
import { thread } from './thread.ts';
import { uidBatches } from './uid-batches.ts';
import { unauthenticate } from './unauthenticate.ts';
import { unselect } from './unselect.ts';

/** All commands. */
export const commands: readonly Command[] = [
  append,
  authenticate,
  cancelUpdate,
  capability,
  check,
  close,
  compress,
  copy,
  create,
  deleteAcl,
  enable,
  esearch,
  examine,
  expunge,
  fetch,
  getAcl,
  getMetadata,
  getQuota,
  getQuotaRoot,
  setQuota,
  id,
  idle,
  language,
  list,
  listRights,
  login,
  logout,
  lsub,
  move,
  myRights,
  namespace,
  noop,
  notify,
  remove,
  rename,
  replace,
  search,
  select,
  setAcl,
  setMetadata,
  sort,
  starttls,
  status,
  store,
  subscribe,
  thread,
  uidBatches,
  unauthenticate,
  unselect,
  unsubscribe,
];
