import { DirectoryError } from './errors.ts';

/**
 * The written forms of a password hash: PHC strings, crypt(3) strings, and `{SCHEME}…` as Dovecot and LDAP servers
 * write them. Parsing is complete and bounded: what passes here can be verified, at a cost with a ceiling.
 */
export type StoredHash =
  | {
      readonly is: 'argon2';
      readonly variant: 'argon2id' | 'argon2i' | 'argon2d';
      /** KiB. */
      readonly memory: number;
      readonly passes: number;
      readonly parallelism: number;
      readonly salt: Buffer;
      readonly tag: Buffer;
    }
  | {
      readonly is: 'scrypt';
      readonly cost: number;
      readonly blockSize: number;
      readonly parallelism: number;
      readonly salt: Buffer;
      readonly tag: Buffer;
    }
  | {
      readonly is: 'pbkdf2';
      readonly digest: 'sha1' | 'sha256' | 'sha512';
      readonly iterations: number;
      readonly salt: Buffer;
      readonly tag: Buffer;
    }
  | { readonly is: 'digest'; readonly digest: string; readonly salt: Buffer; readonly tag: Buffer }
  /** `$1$`, `$5$`, `$6$`, `$2y$`: computed in the password worker. */
  | { readonly is: 'crypt'; readonly hash: string }
  | {
      readonly is: 'scram';
      readonly iterations: number;
      readonly salt: Buffer;
      readonly storedKey: Buffer;
      readonly serverKey: Buffer;
    }
  /** Only in imports: it is hashed before it is stored. */
  | { readonly is: 'plain'; readonly password: string };

/** Longest hash we read; SHA512-CRYPT with everything is 125. */
const MAX_HASH = 1024;
/** One verification may not take more memory than this: libsodium's `sensitive` argon2id, in KiB. */
const MAX_MEMORY = 1024 * 1024;
const MAX_PASSES = 64;
const MAX_PARALLELISM = 64;
/** Rounds of SHA-crypt: 20 times what the slowest login.defs asks for; about ten seconds of one core. */
const MAX_ROUNDS = 5_000_000;
const MAX_ITERATIONS = 10_000_000;
/** bcrypt of cost 16 takes some four seconds; beyond that a login is a denial of service. */
const MAX_BCRYPT_COST = 16;

const CRYPT64 = '[./0-9A-Za-z]';
const MD5_CRYPT = new RegExp(`^\\$1\\$[^$]{0,8}\\$${CRYPT64}{22}$`);
const SHA256_CRYPT = new RegExp(`^\\$5\\$(?:rounds=(\\d{1,9})\\$)?[^$]{0,16}\\$${CRYPT64}{43}$`);
const SHA512_CRYPT = new RegExp(`^\\$6\\$(?:rounds=(\\d{1,9})\\$)?[^$]{0,16}\\$${CRYPT64}{86}$`);
// $2x$ marks hashes of a broken implementation of 2011 and is refused.
const BCRYPT = new RegExp(`^\\$2[aby]?\\$(\\d\\d)\\$${CRYPT64}{53}$`);
const B64 = '[A-Za-z0-9+/]';
const ARGON2 = new RegExp(
  `^\\$(argon2id|argon2i|argon2d)\\$v=19\\$m=(\\d{1,8}),t=(\\d{1,4}),p=(\\d{1,3})\\$(${B64}{11,})\\$(${B64}{16,})$`,
);
const SCRYPT_PHC = new RegExp(
  `^\\$scrypt\\$ln=(\\d{1,2}),r=(\\d{1,3}),p=(\\d{1,3})\\$(${B64}{0,128})\\$(${B64}{16,})$`,
);
const SCRYPT_7 = new RegExp(
  `^\\$7\\$(${CRYPT64})(${CRYPT64}{5})(${CRYPT64}{5})([^$]{0,64})\\$(${CRYPT64}{43})$`,
);
const PBKDF2_DOVECOT = /^\$1\$([^$]{1,64})\$(\d{1,8})\$([0-9a-f]{40})$/;
const PBKDF2_PHC =
  /^\$pbkdf2(?:-(sha1|sha256|sha512))?\$(?:i=)?(\d{1,8})(?:,l=\d{1,3})?\$([A-Za-z0-9+/.]{0,128})\$([A-Za-z0-9+/.]{16,128})$/;

/** Plain digests by scheme: their name in node:crypto, their size, and whether a salt follows. */
const DIGESTS: Readonly<
  Record<string, { digest: string; size: number; salted: boolean; as: 'base64' | 'hex' }>
> = {
  SHA: { digest: 'sha1', size: 20, salted: false, as: 'base64' },
  SHA1: { digest: 'sha1', size: 20, salted: false, as: 'base64' },
  SHA256: { digest: 'sha256', size: 32, salted: false, as: 'base64' },
  SHA512: { digest: 'sha512', size: 64, salted: false, as: 'base64' },
  SSHA: { digest: 'sha1', size: 20, salted: true, as: 'base64' },
  SSHA256: { digest: 'sha256', size: 32, salted: true, as: 'base64' },
  SSHA512: { digest: 'sha512', size: 64, salted: true, as: 'base64' },
  'PLAIN-MD5': { digest: 'md5', size: 16, salted: false, as: 'hex' },
  'LDAP-MD5': { digest: 'md5', size: 16, salted: false, as: 'base64' },
  SMD5: { digest: 'md5', size: 16, salted: true, as: 'base64' },
};

/** What a scheme's text must look like, for schemes that name one of the self-describing forms. */
const SELF_DESCRIBING: Readonly<Record<string, RegExp>> = {
  ARGON2ID: /^\$argon2id\$/,
  ARGON2I: /^\$argon2i\$/,
  SCRYPT: /^\$(?:scrypt|7)\$/,
  'BLF-CRYPT': /^\$2/,
  BCRYPT: /^\$2/,
  'SHA512-CRYPT': /^\$6\$/,
  'SHA256-CRYPT': /^\$5\$/,
  'MD5-CRYPT': /^\$1\$/,
  MD5: /^\$1\$/,
  PBKDF2: /^\$(?:1|pbkdf2)/,
  CRYPT: /^\$/,
};

/**
 * Reads a hash in any of the forms we accept; a form without `{SCHEME}` must describe itself (`$argon2id$…`, `$6$…`).
 * @throws DirectoryError `invalid`, without repeating the hash.
 */
export function parseStoredHash(text: string): StoredHash {
  if (Buffer.byteLength(text) > MAX_HASH) throw invalid('is longer than any hash');
  const prefixed = /^\{([A-Za-z0-9-]+)(?:\.(HEX|B64|BASE64))?\}(.*)$/is.exec(text);
  if (!prefixed) {
    if (!text.startsWith('$'))
      throw invalid('is no hash: write its scheme before it, such as {BLF-CRYPT} or {SSHA512}');
    return parseSelfDescribing(text);
  }
  const scheme = (prefixed[1] ?? '').toUpperCase();
  const rest = prefixed[3] ?? '';
  if (['PLAIN', 'CLEARTEXT', 'CLEAR'].includes(scheme)) return { is: 'plain', password: rest };
  if (scheme === 'SCRAM-SHA-256') return parseScram(rest);
  if (scheme === 'PBKDF2' && PBKDF2_DOVECOT.test(rest)) return parseDovecotPbkdf2(rest);
  const digest = DIGESTS[scheme];
  if (digest) return parseDigest(scheme, rest, prefixed[2]?.toUpperCase());
  const form = SELF_DESCRIBING[scheme];
  if (!form) throw invalid(`has the scheme {${scheme}}, which is not supported; ${SUPPORTED}`);
  if (!form.test(rest)) throw invalid(`does not look like {${scheme}}`);
  return parseSelfDescribing(rest);
}

const SUPPORTED =
  'supported are ARGON2ID, ARGON2I, SCRYPT, BLF-CRYPT, SHA512-CRYPT, SHA256-CRYPT, MD5-CRYPT, PBKDF2, ' +
  'SCRAM-SHA-256, SSHA, SSHA256, SSHA512, SMD5, SHA, SHA256, SHA512, PLAIN-MD5, LDAP-MD5';

/** Whether a right password should be hashed anew: the scheme, or its cost, is not what we would choose today. */
export function isWeak(
  hash: StoredHash,
  today: { readonly memory: number; readonly passes: number },
): boolean {
  switch (hash.is) {
    case 'argon2':
      return hash.variant !== 'argon2id' || hash.memory * hash.passes < today.memory * today.passes;
    case 'scrypt':
      // The least that RFC 7914's author and OWASP call sane: 2^14 blocks of 1 KiB.
      return hash.cost * hash.blockSize < 2 ** 14 * 8;
    case 'pbkdf2':
    case 'digest':
    case 'crypt':
    case 'scram':
    case 'plain':
      return true;
  }
}

function parseSelfDescribing(text: string): StoredHash {
  if (MD5_CRYPT.test(text)) return { is: 'crypt', hash: text };
  const sha = SHA512_CRYPT.exec(text) ?? SHA256_CRYPT.exec(text);
  if (sha) {
    if (Number(sha[1] ?? 0) > MAX_ROUNDS) throw invalid(`asks for more than ${MAX_ROUNDS} rounds`);
    return { is: 'crypt', hash: text };
  }
  const bcrypt = BCRYPT.exec(text);
  if (bcrypt) {
    const cost = Number(bcrypt[1]);
    if (cost < 4 || cost > MAX_BCRYPT_COST)
      throw invalid(`has a bcrypt cost outside 4 to ${MAX_BCRYPT_COST}`);
    return { is: 'crypt', hash: text };
  }
  if (text.startsWith('$argon2')) return parseArgon2(text);
  if (text.startsWith('$scrypt$')) return parseScryptPhc(text);
  if (text.startsWith('$7$')) return parseScrypt7(text);
  if (text.startsWith('$pbkdf2')) return parsePbkdf2Phc(text);
  if (text.startsWith('$y$') || text.startsWith('$gy$'))
    throw invalid('is yescrypt, which is not supported: set a new password instead');
  throw invalid('is no hash of a known form');
}

/** PHC string format; version 19 (0x13) is RFC 9106. */
function parseArgon2(text: string): StoredHash {
  const match = ARGON2.exec(text);
  if (!match) throw invalid('is no argon2 hash of version 19');
  const [memory, passes, parallelism] = [Number(match[2]), Number(match[3]), Number(match[4])];
  // RFC 9106 3.1: at least 8 KiB a lane; the ceilings are ours.
  if (parallelism < 1 || parallelism > MAX_PARALLELISM || memory < 8 * parallelism || memory > MAX_MEMORY)
    throw invalid(`asks argon2 for memory or lanes that are out of range (at most ${MAX_MEMORY} KiB)`);
  if (passes < 1 || passes > MAX_PASSES) throw invalid(`asks argon2 for more than ${MAX_PASSES} passes`);
  return {
    is: 'argon2',
    variant: match[1] === 'argon2i' ? 'argon2i' : match[1] === 'argon2d' ? 'argon2d' : 'argon2id',
    memory,
    passes,
    parallelism,
    salt: Buffer.from(match[5] ?? '', 'base64'),
    tag: Buffer.from(match[6] ?? '', 'base64'),
  };
}

function parseScryptPhc(text: string): StoredHash {
  const match = SCRYPT_PHC.exec(text);
  if (!match) throw invalid('is no scrypt hash');
  return scrypt(
    Number(match[1]),
    Number(match[2]),
    Number(match[3]),
    Buffer.from(match[4] ?? '', 'base64'),
    Buffer.from(match[5] ?? '', 'base64'),
  );
}

/** libsodium's form, which Dovecot stores as {SCRYPT}: parameters and tag in crypt's alphabet, low bits first. */
function parseScrypt7(text: string): StoredHash {
  const match = SCRYPT_7.exec(text);
  if (!match) throw invalid('is no scrypt hash');
  return scrypt(
    crypt64Number(match[1] ?? ''),
    crypt64Number(match[2] ?? ''),
    crypt64Number(match[3] ?? ''),
    Buffer.from(match[4] ?? ''),
    crypt64Bytes(match[5] ?? '').subarray(0, 32),
  );
}

function scrypt(
  log2Cost: number,
  blockSize: number,
  parallelism: number,
  salt: Buffer,
  tag: Buffer,
): StoredHash {
  const kib = (2 ** log2Cost * blockSize) / 8;
  if (log2Cost < 1 || blockSize < 1 || parallelism < 1 || kib > MAX_MEMORY || parallelism > MAX_PARALLELISM)
    throw invalid(`asks scrypt for parameters that are out of range (at most ${MAX_MEMORY} KiB)`);
  return { is: 'scrypt', cost: 2 ** log2Cost, blockSize, parallelism, salt, tag };
}

/** `$1$salt$rounds$hex`: HMAC-SHA-1, the salt as the text it is. */
function parseDovecotPbkdf2(text: string): StoredHash {
  const match = PBKDF2_DOVECOT.exec(text);
  if (!match) throw invalid('is no PBKDF2 hash');
  return pbkdf2('sha1', Number(match[2]), Buffer.from(match[1] ?? ''), Buffer.from(match[3] ?? '', 'hex'));
}

/** passlib's `$pbkdf2-sha256$…` and the PHC form; passlib writes `.` for `+`. */
function parsePbkdf2Phc(text: string): StoredHash {
  const match = PBKDF2_PHC.exec(text);
  if (!match) throw invalid('is no PBKDF2 hash');
  const digest = match[1] === 'sha256' ? 'sha256' : match[1] === 'sha512' ? 'sha512' : 'sha1';
  const bytes = (part: string | undefined): Buffer =>
    Buffer.from((part ?? '').replaceAll('.', '+'), 'base64');
  return pbkdf2(digest, Number(match[2]), bytes(match[3]), bytes(match[4]));
}

function pbkdf2(
  digest: 'sha1' | 'sha256' | 'sha512',
  iterations: number,
  salt: Buffer,
  tag: Buffer,
): StoredHash {
  if (iterations < 1 || iterations > MAX_ITERATIONS)
    throw invalid(`asks for more than ${MAX_ITERATIONS} iterations`);
  return { is: 'pbkdf2', digest, iterations, salt, tag };
}

function parseDigest(scheme: string, text: string, encoding: string | undefined): StoredHash {
  const known = DIGESTS[scheme];
  if (!known) throw invalid('is no hash of a known form');
  const hex = (encoding === undefined ? known.as : encoding === 'HEX' ? 'hex' : 'base64') === 'hex';
  if (!(hex ? /^(?:[0-9a-f]{2})+$/i : /^[A-Za-z0-9+/]+={0,2}$/).test(text))
    throw invalid(`does not look like {${scheme}}`);
  const bytes = Buffer.from(text, hex ? 'hex' : 'base64');
  if (known.salted ? bytes.length <= known.size : bytes.length !== known.size)
    throw invalid(`does not look like {${scheme}}`);
  return {
    is: 'digest',
    digest: known.digest,
    salt: bytes.subarray(known.size),
    tag: bytes.subarray(0, known.size),
  };
}

/** `iterations,salt,StoredKey,ServerKey`, as Dovecot writes it. */
function parseScram(text: string): StoredHash {
  const match = /^(\d{1,8}),([A-Za-z0-9+/=]+),([A-Za-z0-9+/]{43}=),([A-Za-z0-9+/]{43}=)$/.exec(text);
  const iterations = Number(match?.[1]);
  if (!match || iterations < 1) throw invalid('does not look like {SCRAM-SHA-256}');
  if (iterations > MAX_ITERATIONS) throw invalid(`asks for more than ${MAX_ITERATIONS} iterations`);
  const [salt, storedKey, serverKey] = match.slice(2).map((part) => Buffer.from(part, 'base64'));
  if (!salt || !storedKey || !serverKey) throw invalid('does not look like {SCRAM-SHA-256}');
  return { is: 'scram', iterations, salt, storedKey, serverKey };
}

const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function crypt64Number(text: string): number {
  let value = 0;
  for (let i = text.length - 1; i >= 0; i--) value = value * 64 + ALPHABET.indexOf(text[i] ?? '');
  return value;
}

function crypt64Bytes(text: string): Buffer {
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i += 4) {
    const group = crypt64Number(text.slice(i, i + 4));
    const size = Math.floor((Math.min(4, text.length - i) * 6) / 8);
    for (let byte = 0; byte < size; byte++) bytes.push((group >>> (8 * byte)) & 0xff);
  }
  return Buffer.from(bytes);
}

function invalid(what: string): DirectoryError {
  return new DirectoryError('invalid', `the password hash ${what}`);
}
