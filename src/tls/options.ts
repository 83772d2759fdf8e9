import { z } from 'zod';

/** `tls:` of the configuration file. */

export interface CertificateSettings {
  readonly cert: string;
  readonly key: string;
  readonly names: readonly string[] | null;
}

export interface TlsSettings {
  readonly cert: string | null;
  readonly key: string | null;
  readonly certificates: readonly CertificateSettings[];
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly ciphers: string;
}

/**
 * For TLS 1.2: forward secrecy and authenticated encryption only, in no order of ours, as the client knows best
 * whether it has AES in hardware (RFC 9325 4.2). TLS 1.3 has no others.
 */
export const DEFAULT_CIPHERS: string = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'DHE-RSA-AES128-GCM-SHA256',
  'DHE-RSA-AES256-GCM-SHA384',
].join(':');

const file = (what: string): z.ZodString => z.string().min(1).describe(`${what}, in PEM form.`);

export const tlsOptions: z.ZodType<TlsSettings, object> = z
  .strictObject({
    cert: file('File with the certificate and its chain')
      .nullable()
      .default(null)
      .describe(
        'File with the certificate and its chain, in PEM form; without one, a self-signed one is made.',
      ),
    key: file('File with its private key')
      .nullable()
      .default(null)
      .describe('File with the private key of the certificate, in PEM form.'),
    certificates: z
      .array(
        z.strictObject({
          cert: file('File with the certificate and its chain'),
          key: file('File with its private key'),
          names: z
            .array(z.string().min(1))
            .min(1)
            .nullable()
            .default(null)
            .describe('Host names to use it for; by default those in the certificate.'),
        }),
      )
      .default([])
      .describe('More certificates, each for clients that ask for one of its names (SNI).'),
    minVersion: z
      .enum(['TLSv1.2', 'TLSv1.3'])
      .default('TLSv1.2')
      .describe('The oldest version of TLS that is spoken.'),
    ciphers: z
      .string()
      .min(1)
      .default(DEFAULT_CIPHERS)
      .describe('Cipher suites, in the notation of OpenSSL.'),
  })
  .superRefine(({ cert, key }, context) => {
    if ((cert === null) === (key === null)) return;
    const path = [cert === null ? 'cert' : 'key'];
    context.addIssue({ code: 'custom', path, message: 'cert and key go together: give both, or none' });
  });
