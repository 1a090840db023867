#include "session.h"

#include <cerrno>
#include <utility>

#include "js/errors.h"
#include "js/request-object.h"

namespace mvfuse {
namespace {

struct Mounted {
  SessionOptions options;
  Mount mount;
};

Mounted& mountedOf(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !info[0].IsExternal()) throw Napi::TypeError::New(info.Env(), "use Session.mount");
  return *info[0].As<Napi::External<Mounted>>().Data();
}

void undo(const Mount& mount) {
  try {
    unmountFilesystem(mount);
  } catch (const SystemFailure&) {
    // The failure that led here is the one to report.
  }
}

}  // namespace

Session::Session(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<Session>(info),
      mount_(mountedOf(info).mount),
      device_(mount_.fd),
      notifier_(device_, mailbox_),
      reader_(device_, {mountedOf(info).options.writeBytesMax, mountedOf(info).options.queueLengthMax,
                        mountedOf(info).options.cachesLists}) {}

Session::~Session() {
  reader_.stop();
  device_.close();
}

Napi::Value Session::mount(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() < 3 || !info[1].IsFunction() || !info[2].IsFunction()) {
    throw Napi::TypeError::New(env, "Session.mount(options, onRequests, onEnd)");
  }
  Mounted mounted;
  mounted.options = toSessionOptions(info[0]);
  try {
    mounted.mount = mountFilesystem(mounted.options.mount);
  } catch (const SystemFailure& failure) {
    throw errnoError(env, failure.error, failure.message);
  }
  try {
    const Napi::Object object = env.GetInstanceData<AddonData>()->sessionClass.New(
        {Napi::External<Mounted>::New(env, &mounted)});
    Unwrap(object)->start(env, info[1].As<Napi::Function>(), info[2].As<Napi::Function>());
    return object;
  } catch (...) {
    // Nobody would serve it.
    undo(mounted.mount);
    throw;
  }
}

void Session::start(Napi::Env env, Napi::Function onRequests, Napi::Function onEnd) {
  onRequests_ = Napi::Persistent(onRequests);
  onEnd_ = Napi::Persistent(onEnd);
  const auto drain = [](napi_env drainEnv, napi_value, void* session, void*) {
    if (drainEnv == nullptr) return;
    try {
      static_cast<Session*>(session)->drain(drainEnv);
    } catch (const Napi::Error&) {
      // Only an environment that is ending refuses these calls; its cleanup hook ends the session.
    }
  };
  const auto release = [](napi_env, void* session, void*) { static_cast<Session*>(session)->Unref(); };
  const Napi::String name = Napi::String::New(env, "mvfuse session");
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, this, release, this, drain, &waker_) !=
      napi_ok) {
    throw Napi::Error::New(env);
  }
  Ref();
  mailbox_.setWaker(waker_);
  asyncContext_.emplace(env, "mvfuse session");
  try {
    watch(env);
  } catch (...) {
    state_ = State::ended;
    asyncContext_.reset();
    device_.close();
    napi_release_threadsafe_function(waker_, napi_tsfn_release);
    throw;
  }
  // Hooks run last in, first out: the notifier ends before the environment finalizes the function that it calls.
  napi_add_env_cleanup_hook(env, tearDown, this);
}

void Session::watch(Napi::Env env) {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) throw Napi::Error::New(env);
  const int error = reader_.start(
      loop, [this, env](std::vector<Message>& messages) { deliver(env, messages); },
      [this](int failure) {
        endThreads();
        mailbox_.end(failure);
      });
  if (error != 0) throw errnoError(env, error, "watching /dev/fuse");
  try {
    notifier_.start([this] { notifierStopped_.set(); });
  } catch (const std::system_error& failure) {
    reader_.stop();
    throw errnoError(env, failure.code().value(), "starting a thread");
  }
}

void Session::drain(Napi::Env env) {
  if (state_ == State::ended) return;
  mailbox_.take(contents_);
  for (const Completion& completion : contents_.completions) settle(env, completion);
  contents_.completions.clear();
  if (contents_.hasEnded) finish(env, contents_.failure);
}

void Session::deliver(Napi::Env env, std::vector<Message>& messages) {
  const Napi::HandleScope scope(env);
  KeyScope keyScope = keys(env);
  napi_value list = nullptr;
  if (napi_create_array_with_length(env, messages.size(), &list) != napi_ok) return;
  for (size_t index = 0; index < messages.size(); index++) {
    const fuse_in_header& header = messages[index].request.header;
    if (expectsAnswer(header.opcode)) pending_.emplace(header.unique, header.opcode);
    const napi_value object = makeRequestObject(env, keyScope, std::move(messages[index]));
    napi_set_element(env, list, static_cast<uint32_t>(index), object);
  }
  // Runs what the handlers have queued (promises, process.nextTick) before it returns, as any event does.
  const napi_status status =
      napi_make_callback(env, *asyncContext_, env.Global(), onRequests_.Value(), 1, &list, nullptr);
  if (status == napi_pending_exception) reportUncaught(env);
}

void Session::settle(Napi::Env env, const Completion& completion) {
  const auto found = notifications_.find(completion.id);
  if (found == notifications_.end()) return;
  const Napi::Promise::Deferred deferred = found->second;
  notifications_.erase(found);
  if (completion.error == 0) {
    deferred.Resolve(env.Undefined());
  } else {
    deferred.Reject(errnoError(env, completion.error, "kernel notification").Value());
  }
}

void Session::close(const Napi::CallbackInfo&) {
  if (state_ != State::running) return;
  state_ = State::closing;
  sever();
  endThreads();
  mailbox_.end(0);
}

void Session::unmount(const Napi::CallbackInfo& info) {
  // Without a connection the mount is gone or dead, and its device number may be another mount's by now.
  if (!device_.isConnected()) return;
  try {
    unmountFilesystem(mount_);
  } catch (const SystemFailure& failure) {
    throw errnoError(info.Env(), failure.error, failure.message);
  }
}

Napi::Value Session::refusedCount(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(reader_.refusedCount()));
}

void Session::sever() {
  for (const auto& [unique, opcode] : pending_) device_.answer(unique, ENOTCONN);
}

void Session::endThreads() {
  reader_.stop();
  notifier_.requestStop();
  reader_.refuseUntil(notifierStopped_.fd());
  notifier_.join();
}

void Session::finish(Napi::Env env, int failure) {
  state_ = State::ended;
  device_.close();
  asyncContext_.reset();
  napi_remove_env_cleanup_hook(env, tearDown, this);
  for (const auto& [id, deferred] : notifications_) deferred.Resolve(env.Undefined());
  notifications_.clear();
  napi_release_threadsafe_function(waker_, napi_tsfn_release);

  const Napi::Function onEnd = onEnd_.Value();
  onRequests_.Reset();
  onEnd_.Reset();
  napi_value argument = env.Undefined();
  if (failure != 0) argument = errnoError(env, failure, "FUSE session on " + mount_.mountpoint).Value();
  if (napi_call_function(env, env.Undefined(), onEnd, 1, &argument, nullptr) == napi_pending_exception) {
    reportUncaught(env);
  }
}

void Session::tearDown(void* data) {
  auto* session = static_cast<Session*>(data);
  if (session->state_ == State::ended) return;
  if (session->state_ == State::running) session->sever();
  session->state_ = State::ended;
  session->endThreads();
  session->asyncContext_.reset();
  session->device_.close();
}

Napi::Function Session::define(Napi::Env env) {
  return DefineClass(env, "Session",
                     {
                         StaticMethod<&Session::mount>("mount"),
                         InstanceAccessor<&Session::refusedCount>("refusedCount"),
                         InstanceMethod<&Session::unmount>("unmount"),
                         InstanceMethod<&Session::close>("close"),
                         InstanceMethod<&Session::replyOk>("replyOk"),
                         InstanceMethod<&Session::replyError>("replyError"),
                         InstanceMethod<&Session::replyEntry>("replyEntry"),
                         InstanceMethod<&Session::replyAttributes>("replyAttributes"),
                         InstanceMethod<&Session::replyOpen>("replyOpen"),
                         InstanceMethod<&Session::replyCreate>("replyCreate"),
                         InstanceMethod<&Session::replyData>("replyData"),
                         InstanceMethod<&Session::replyWrite>("replyWrite"),
                         InstanceMethod<&Session::replyDirectory>("replyDirectory"),
                         InstanceMethod<&Session::replyStatfs>("replyStatfs"),
                         InstanceMethod<&Session::replyLock>("replyLock"),
                         InstanceMethod<&Session::replyXattr>("replyXattr"),
                         InstanceMethod<&Session::notifyInvalidInode>("notifyInvalidInode"),
                         InstanceMethod<&Session::notifyInvalidEntry>("notifyInvalidEntry"),
                         InstanceMethod<&Session::notifyDelete>("notifyDelete"),
                     });
}

}  // namespace mvfuse
