import { close, fdatasync, fstat, open, read, write } from 'node:fs';
import { link, open as openHandle, rename, statfs, unlink } from 'node:fs/promises';

/**
 * The few steps from which everything that must survive a power cut is built: write, sync, rename, link, sync the
 * directory. Rooms get them as a value, so that a test can count the steps, let one fail, or cut the power after it
 * (test/faulty-files.ts).
 */
export interface DurableFiles {
  /** `create` refuses a file that exists; `update` opens one for reading and writing. */
  open(path: string, mode: 'create' | 'update'): Promise<OpenFile>;
  rename(from: string, to: string): Promise<void>;
  link(from: string, to: string): Promise<void>;
  /** No error when there is no such file. */
  unlink(path: string): Promise<void>;
  /** Makes created, renamed and removed names in a directory survive a power cut. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes that we may still allocate on the file system of `path`. */
  free(path: string): Promise<number>;
}

export interface OpenFile {
  /** Writes all of it. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Fills the buffer as far as the file goes; resolves to the number of bytes. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** After this a power cut cannot take what was written. After it failed, trust nothing in the file. */
  datasync(): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** The real thing, through libuv's pool. Callbacks below, not FileHandles: half the cost on the journal's path. */
export const diskFiles: DurableFiles = {
  open(path, mode) {
    return new Promise((resolve, reject) =>
      open(path, mode === 'create' ? 'wx+' : 'r+', 0o600, (error, fd) =>
        error ? reject(error) : resolve(diskFile(fd)),
      ),
    );
  },
  rename,
  link,
  async unlink(path) {
    try {
      await unlink(path);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    }
  },
  async syncDirectory(path) {
    const directory = await openHandle(path, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  },
  async free(path) {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  },
};

function diskFile(fd: number): OpenFile {
  return {
    write(bytes, position) {
      return new Promise((resolve, reject) => {
        const step = (offset: number): void => {
          write(fd, bytes, offset, bytes.length - offset, position + offset, (error, written) => {
            if (error) reject(error);
            else if (offset + written === bytes.length) resolve();
            // A short write comes before ENOSPC: the next one tells.
            else step(offset + written);
          });
        };
        step(0);
      });
    },
    read(buffer, position) {
      return new Promise((resolve, reject) => {
        const step = (offset: number): void => {
          read(fd, buffer, offset, buffer.length - offset, position + offset, (error, bytes) => {
            if (error) reject(error);
            else if (bytes === 0 || offset + bytes === buffer.length) resolve(offset + bytes);
            else step(offset + bytes);
          });
        };
        step(0);
      });
    },
    datasync() {
      return new Promise((resolve, reject) => fdatasync(fd, (error) => (error ? reject(error) : resolve())));
    },
    size() {
      return new Promise((resolve, reject) =>
        fstat(fd, (error, stats) => (error ? reject(error) : resolve(stats.size))),
      );
    },
    close() {
      return new Promise((resolve, reject) => close(fd, (error) => (error ? reject(error) : resolve())));
    },
  };
}
