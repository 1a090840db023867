// From the size of a file to its pages.

import type { PageNumber } from './types.js';

interface Extent {
  readonly pageBytes: number;
  readonly sizeBytes: number;
}

/** Pages of a file; the last one may be cut by its end. */
export function pageCountOf({ pageBytes, sizeBytes }: Extent): number {
  return Math.ceil(sizeBytes / pageBytes);
}

/** How many bytes of a page lie inside the file. */
export function bytesOfPage({ pageBytes, sizeBytes }: Extent, page: PageNumber): number {
  return Math.min(pageBytes, sizeBytes - (page - 1) * pageBytes);
}
