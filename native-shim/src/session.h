// The Session class that JavaScript sees: the life of one mount, and its answers.
//
// Everything here runs on the JavaScript thread (the one that mounted). `pending_` has the requests that were handed to
// JavaScript and wait for an answer; only this thread touches it, so an answer is taken exactly once without a lock.
// Order of the end: no more requests to JavaScript → unanswered ones get ENOTCONN → reader and notifier end →
// descriptor closed → notifications settled → onEnd. The object lives until the thread-safe function is finalized.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "device.h"
#include "event-fd.h"
#include "js/keys.h"
#include "js/read-values.h"
#include "mailbox.h"
#include "mount/mount.h"
#include "notifier.h"
#include "request-reader.h"

namespace mvfuse {

/** Per environment. */
struct AddonData {
  explicit AddonData(Napi::Env env) : keys(env) {}
  Keys keys;
  Napi::FunctionReference sessionClass;
};

class Session : public Napi::ObjectWrap<Session> {
 public:
  static Napi::Function define(Napi::Env env);
  /** Called by `mount` only, with an External of SessionOptions and Mount. */
  explicit Session(const Napi::CallbackInfo& info);
  ~Session() override;

 private:
  static Napi::Value mount(const Napi::CallbackInfo& info);
  void start(Napi::Env env, Napi::Function onRequests, Napi::Function onEnd);
  /** Begins to read requests and to send notifications. */
  void watch(Napi::Env env);
  void unmount(const Napi::CallbackInfo& info);
  Napi::Value refusedCount(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  void deliver(Napi::Env env, std::vector<Message>& messages);
  /** The mailbox has something. */
  void drain(Napi::Env env);
  void settle(Napi::Env env, const Completion& completion);
  /** Answers all that is unanswered with ENOTCONN; later answers to those are dropped. */
  void sever();
  /** Ends reading and the notifier, which may wait in the kernel for an answer until everything is refused. */
  void endThreads();
  void finish(Napi::Env env, int failure);
  /** The environment ends while the session runs. */
  static void tearDown(void* session);

  void replyOk(const Napi::CallbackInfo& info);
  void replyError(const Napi::CallbackInfo& info);
  void replyEntry(const Napi::CallbackInfo& info);
  void replyAttributes(const Napi::CallbackInfo& info);
  void replyOpen(const Napi::CallbackInfo& info);
  void replyCreate(const Napi::CallbackInfo& info);
  void replyData(const Napi::CallbackInfo& info);
  void replyWrite(const Napi::CallbackInfo& info);
  void replyDirectory(const Napi::CallbackInfo& info);
  void replyStatfs(const Napi::CallbackInfo& info);
  void replyLock(const Napi::CallbackInfo& info);
  void replyXattr(const Napi::CallbackInfo& info);
  Napi::Value notifyInvalidInode(const Napi::CallbackInfo& info);
  Napi::Value notifyInvalidEntry(const Napi::CallbackInfo& info);
  Napi::Value notifyDelete(const Napi::CallbackInfo& info);
  Napi::Value notify(Napi::Env env, Notification notification);

  KeyScope keys(Napi::Env env) const { return {env, env.GetInstanceData<AddonData>()->keys}; }
  /** Writes `count - 1` payload pieces behind a header of its own. @throws ERR_NOT_PENDING */
  void answerWith(Napi::Env env, uint64_t unique, iovec* pieces, int count);
  void answerError(Napi::Env env, uint64_t unique, int error);
  /** Returns whether the kernel still waits. @throws ERR_NOT_PENDING */
  bool take(Napi::Env env, uint64_t unique);
  void checkWritten(Napi::Env env, uint64_t unique, int writeError);

  enum class State { running, closing, ended };

  Mount mount_;
  Device device_;
  Mailbox mailbox_;
  Notifier notifier_;
  RequestReader reader_;
  EventFd notifierStopped_;
  std::optional<Napi::AsyncContext> asyncContext_;
  State state_ = State::running;
  /** unique → opcode */
  std::unordered_map<uint64_t, uint32_t> pending_;
  std::unordered_map<uint64_t, Napi::Promise::Deferred> notifications_;
  uint64_t lastNotificationId_ = 0;
  Mailbox::Contents contents_;
  napi_threadsafe_function waker_ = nullptr;
  Napi::FunctionReference onRequests_;
  Napi::FunctionReference onEnd_;
};

}  // namespace mvfuse
