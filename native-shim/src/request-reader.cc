#include "request-reader.h"

#include <poll.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "protocol/init.h"
#include "protocol/parse.h"
#include "protocol/xattr.h"

namespace mvfuse {
namespace {

/** Room for the header and operands in front of the data of the greatest WRITE. */
constexpr size_t HEADER_BYTES_MAX = 8192;

}  // namespace

RequestReader::RequestReader(Device& device, Limits limits)
    : device_(device),
      limits_(limits),
      buffer_(limits.writeBytesMax + HEADER_BYTES_MAX),
      spins_(std::thread::hardware_concurrency() > 1) {}

int RequestReader::start(uv_loop_t* loop, Deliver deliver, Ended ended) {
  deliver_ = std::move(deliver);
  ended_ = std::move(ended);
  auto* handle = new uv_poll_t;
  const int error = uv_poll_init(loop, handle, device_.fd());
  if (error != 0) {
    delete handle;
    return -error;
  }
  handle->data = this;
  handle_ = handle;
  loop_ = loop;
  watch();
  return 0;
}

void RequestReader::answered(uint32_t opcode) {
  (opcode == FUSE_SETLKW ? waitingLockCount_ : unansweredCount_)--;
  if (!isWatching_ && !isFull()) watch();
}

void RequestReader::stop() {
  if (handle_ == nullptr) return;
  isWatching_ = false;
  uv_poll_stop(handle_);
  uv_close(reinterpret_cast<uv_handle_t*>(handle_), [](uv_handle_t* handle) { delete reinterpret_cast<uv_poll_t*>(handle); });
  handle_ = nullptr;
}

void RequestReader::refuseUntil(int wakeFd) {
  for (;;) {
    pollfd fds[2] = {{wakeFd, POLLIN, 0}, {device_.fd(), POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[0].revents != 0) return;
    const Device::ReadResult result = device_.read(buffer_.data(), buffer_.size());
    if (result.status == Device::Status::gone || result.status == Device::Status::failed) {
      // Nobody can wait for an answer any more; the notifier's write fails by itself.
      poll(fds, 1, -1);
      return;
    }
    if (result.status != Device::Status::message || result.size < sizeof(fuse_in_header)) continue;
    fuse_in_header header;
    std::memcpy(&header, buffer_.data(), sizeof(header));
    if (expectsAnswer(header.opcode)) device_.answer(header.unique, ENOTCONN);
  }
}

void RequestReader::onReadable(uv_poll_t* handle, int, int) {
  // An error of the device is found by the read.
  static_cast<RequestReader*>(handle->data)->readBatches();
}

void RequestReader::readBatches() {
  for (int count = 0; count < BATCHES_MAX; count++) {
    if (!readBatch() || !spins_ || !comesSoon()) return;
  }
}

bool RequestReader::comesSoon() const {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::nanoseconds(SPIN_NS);
  do {
    // The loop's own descriptor is readable when anything is that the loop waits for.
    pollfd fds[2] = {{device_.fd(), POLLIN, 0}, {uv_backend_fd(loop_), POLLIN, 0}};
    if (poll(fds, 2, 0) > 0) return fds[0].revents != 0;
  } while (Clock::now() < end);
  return false;
}

bool RequestReader::readBatch() {
  int failure = 0;
  bool isGone = false;
  batch_.clear();
  while (failure == 0 && batch_.size() < BATCH_LENGTH_MAX && !isFull()) {
    const Device::ReadResult result = device_.read(buffer_.data(), buffer_.size());
    if (result.status == Device::Status::empty) break;
    isGone = result.status == Device::Status::gone;
    if (isGone) break;
    failure = result.status == Device::Status::failed ? result.error : handle(result.size);
  }
  if (isGone || failure != 0) {
    stop();
  } else if (isFull()) {
    uv_poll_stop(handle_);
    isWatching_ = false;
  }
  if (!batch_.empty()) deliver_(batch_);
  if (isGone || failure != 0) ended_(failure);
  return isWatching_ && unansweredCount_ == 0;
}

void RequestReader::refuse(const fuse_in_header& header, int error) {
  if (!expectsAnswer(header.opcode)) return;
  refusedCount_++;
  device_.answer(header.unique, error);
}

int RequestReader::handle(size_t size) {
  Message message{std::unique_ptr<uint8_t[]>(new uint8_t[size]), {}};
  std::memcpy(message.bytes.get(), buffer_.data(), size);
  const int error = parse({message.bytes.get(), size}, message.request);
  if (error == NO_HEADER) return EPROTO;

  const fuse_in_header& header = message.request.header;
  if (error != 0) {
    refuse(header, error);
    return 0;
  }
  if (header.opcode == FUSE_INIT) return handleInit(message.request);
  if (header.opcode == FUSE_DESTROY) {
    device_.answer(header.unique, 0);
    return 0;
  }
  if (const int refused = refusedXattr(message.request); refused != 0) {
    refuse(header, refused);
    return 0;
  }
  if (!limits_.cachesLists && handleDirectory(header)) return 0;
  keep(std::move(message));
  return 0;
}

bool RequestReader::handleDirectory(const fuse_in_header& header) {
  if (header.opcode == FUSE_RELEASEDIR) {
    device_.answer(header.unique, 0);
    return true;
  }
  if (header.opcode != FUSE_OPENDIR) return false;
  // Were this request not served at all (ENOSYS), the kernel would take every list for one that it may keep.
  fuse_open_out out = {};
  iovec pieces[2] = {{}, {&out, sizeof(out)}};
  device_.answerWith(header.unique, pieces, 2);
  return true;
}

int RequestReader::handleInit(const Request& request) {
  fuse_init_out out;
  const int error = negotiate(std::get<Init>(request.operands).in, limits_.writeBytesMax, out);
  if (error != 0) {
    device_.answer(request.header.unique, error);
    return error;
  }
  iovec pieces[2] = {{}, {&out, sizeof(out)}};
  const int writeError = device_.answerWith(request.header.unique, pieces, 2);
  return isUnwanted(writeError) ? 0 : writeError;
}

void RequestReader::keep(Message&& message) {
  const uint32_t opcode = message.request.header.opcode;
  if (opcode == FUSE_SETLKW && waitingLockCount_ >= WAITING_LOCKS_MAX) {
    refuse(message.request.header, ENOLCK);
    return;
  }
  if (expectsAnswer(opcode)) (opcode == FUSE_SETLKW ? waitingLockCount_ : unansweredCount_)++;
  batch_.push_back(std::move(message));
}

void RequestReader::watch() {
  if (handle_ == nullptr) return;
  isWatching_ = uv_poll_start(handle_, UV_READABLE, onReadable) == 0;
}

}  // namespace mvfuse
