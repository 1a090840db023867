#include "session-thread.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "protocol/init.h"
#include "protocol/parse.h"

namespace mvfuse {
namespace {

/** Room for the header and operands in front of the data of the greatest WRITE. */
constexpr size_t HEADER_BYTES_MAX = 8192;

int openEvent() {
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  return fd;
}

}  // namespace

SessionThread::SessionThread(Device& device, Mailbox& mailbox, Notifier& notifier, Limits limits)
    : device_(device),
      mailbox_(mailbox),
      notifier_(notifier),
      limits_(limits),
      wakeFd_(openEvent()),
      buffer_(limits.writeBytesMax + HEADER_BYTES_MAX) {}

SessionThread::~SessionThread() { ::close(wakeFd_); }

void SessionThread::start() {
  // A new thread takes over the mask: Node's handlers run on the threads that Node knows.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    notifier_.start([this] { wake(); });
    thread_ = std::thread([this] { run(); });
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    notifier_.requestStop();
    notifier_.join();
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void SessionThread::answered(uint32_t opcode) {
  (opcode == FUSE_SETLKW ? waitingLockCount_ : unansweredCount_).fetch_sub(1);
  resume();
}

void SessionThread::close() {
  isClosing_.store(true);
  notifier_.requestStop();
  wake();
}

void SessionThread::join() {
  if (thread_.joinable()) thread_.join();
}

void SessionThread::run() {
  pthread_setname_np(pthread_self(), "mvfuse-session");
  int failure = 0;
  while (failure == 0 && !mustEnd()) {
    if (isFull()) {
      waitForRoom();
      continue;
    }
    const Device::ReadResult result = device_.read(buffer_.data(), buffer_.size());
    if (result.status == Device::Status::gone) break;
    switch (result.status) {
      case Device::Status::message: failure = handle(result.size); break;
      case Device::Status::empty: wait(true); break;
      case Device::Status::failed: failure = result.error; break;
      case Device::Status::gone: break;
    }
  }
  notifier_.requestStop();
  notifier_.join();
  mailbox_.end(failure);
}

int SessionThread::handle(size_t size) {
  Message message{std::unique_ptr<uint8_t[]>(new uint8_t[size]), {}};
  std::memcpy(message.bytes.get(), buffer_.data(), size);
  const int error = parse({message.bytes.get(), size}, message.request);
  if (error == NO_HEADER) return EPROTO;

  const fuse_in_header& header = message.request.header;
  if (error != 0) {
    if (expectsAnswer(header.opcode)) device_.answer(header.unique, error);
    return 0;
  }
  if (header.opcode == FUSE_INIT) return handleInit(message.request);
  if (header.opcode == FUSE_DESTROY) {
    device_.answer(header.unique, 0);
    return 0;
  }
  handOn(std::move(message));
  return 0;
}

int SessionThread::handleInit(const Request& request) {
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

void SessionThread::handOn(Message&& message) {
  const uint64_t unique = message.request.header.unique;
  const uint32_t opcode = message.request.header.opcode;
  if (opcode == FUSE_SETLKW && waitingLockCount_.load() >= WAITING_LOCKS_MAX) {
    device_.answer(unique, ENOLCK);
    return;
  }
  const bool isAnswered = expectsAnswer(opcode);
  if (isAnswered) (opcode == FUSE_SETLKW ? waitingLockCount_ : unansweredCount_).fetch_add(1);
  if (!mailbox_.push(std::move(message)) && isAnswered) device_.answer(unique, ENOTCONN);
}

bool SessionThread::isFull() const {
  if (isClosing_.load()) return false;
  return unansweredCount_.load() >= limits_.queueLengthMax || mailbox_.length() >= limits_.queueLengthMax;
}

void SessionThread::waitForRoom() {
  // Announce first, look again afterwards: an answer in between is seen by one of the two sides.
  isStalled_.store(true);
  if (isFull()) wait(false);
  isStalled_.store(false);
}

void SessionThread::wait(bool forRequests) {
  // A negative descriptor is skipped by poll.
  pollfd fds[2] = {{wakeFd_, POLLIN, 0}, {forRequests ? device_.fd() : -1, POLLIN, 0}};
  if (poll(fds, 2, -1) <= 0 || fds[0].revents == 0) return;
  uint64_t count;
  [[maybe_unused]] const ssize_t size = ::read(wakeFd_, &count, sizeof(count));
}

void SessionThread::resume() {
  if (isStalled_.load() && isStalled_.exchange(false)) wake();
}

void SessionThread::wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t size = ::write(wakeFd_, &one, sizeof(one));
}

}  // namespace mvfuse
