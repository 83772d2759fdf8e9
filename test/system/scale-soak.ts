/**
 * `npm run soak:scale -- [--folders 10000] [--accounts 1000]`: the long version of scale.test.ts, with its figures.
 */
import { parseArgs } from 'node:util';
import { manyAccounts, manyFolders } from './scale.ts';

const { values } = parseArgs({
  options: {
    folders: { type: 'string', default: '10000' },
    accounts: { type: 'string', default: '1000' },
  },
});
console.log('accounts', await manyAccounts(Number(values.accounts)));
console.log('folders', await manyFolders(Number(values.folders)));
