// What a commit may ask for. Checked before anything is written, page by page as they come.

import { MvfuseError } from '../errors.js';
import { COMMIT_MEMBERS_MAX, PAGE_BYTES_MAX, PAGE_BYTES_MIN, PAGE_COUNT_MAX } from '../limits.js';
import { isVersion } from '../version.js';
import { bytesOfPage, pageCountOf } from './page-count.js';
import type { CommitRequest, Page } from './types.js';

/** @throws INVALID_ARGUMENT, LIMIT */
export function validateRequests(requests: readonly CommitRequest[]): void {
  if (requests.length > COMMIT_MEMBERS_MAX)
    throw new MvfuseError('LIMIT', `a commit of more than ${COMMIT_MEMBERS_MAX} files`);
  const namespaces = new Set(requests.map(({ namespace }) => namespace));
  if (namespaces.size < requests.length) throw invalid('a commit names a namespace twice');
  for (const request of requests) validateRequest(request);
}

/** @throws INVALID_ARGUMENT unless `page` comes after page number `previous`, is inside of the file and of the right length */
export function validatePage(request: CommitRequest, page: Page, previous: number): void {
  const { number, data } = page;
  if (!Number.isSafeInteger(number) || number <= previous || number > pageCountOf(request)) {
    throw invalid(`page ${number} after page ${previous}, in a file of ${pageCountOf(request)} pages`);
  }
  const bytes = bytesOfPage(request, number);
  if (data.length !== bytes) throw invalid(`page ${number} is ${data.length} bytes long instead of ${bytes}`);
}

function validateRequest(request: CommitRequest): void {
  const { base, pageBytes, sizeBytes, replay } = request;
  if (!isVersion(base)) throw invalid(`the base "${base}" is not a version`);
  if (replay !== undefined && !isVersion(replay.origin))
    throw invalid(`the origin "${replay.origin}" is not a version`);
  const isPowerOfTwo = Number.isInteger(Math.log2(pageBytes));
  if (!isPowerOfTwo || pageBytes < PAGE_BYTES_MIN || pageBytes > PAGE_BYTES_MAX)
    throw invalid(`${pageBytes} is not a page size`);
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) throw invalid(`${sizeBytes} is not a size`);
  if (pageCountOf(request) > PAGE_COUNT_MAX)
    throw new MvfuseError('LIMIT', `a file of more than ${PAGE_COUNT_MAX} pages`);
}

function invalid(message: string): MvfuseError {
  return new MvfuseError('INVALID_ARGUMENT', message);
}
