/** How far a transfer is, for a line on a terminal and for programs. */
export interface Progress {
  readonly folder: string;
  readonly folders: number;
  readonly foldersDone: number;
  /** Came over now. */
  readonly messages: number;
  readonly octets: number;
  /** Were there already. */
  readonly known: number;
  /** Deleted in the source, or not asked for. */
  readonly passed: number;
  readonly failed: number;
  /** 0 to 1; null when nobody knows. */
  readonly fraction: number | null;
}

export interface Failure {
  readonly label: string;
  readonly reason: string;
}

/** Failures that are told one by one. */
export const MAX_FAILURES = 1000;
