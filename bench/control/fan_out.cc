// SPDX-License-Identifier: Apache-2.0
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/support/async_stream.h>
#include <sys/stat.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/kinsock/v1/vm_service.grpc.pb.h"
#include "base/unique_fd.h"
#include "bench/control/measure.h"
#include "bench/probe.h"
#include "tests/server/daemon_process.h"
#include "tests/support/other_user.h"

namespace kinsock::bench {
namespace {

using testing::DaemonProcess;

// A daemon gives one caller 256 watches, and wait calls count too: more watchers are more users.
constexpr size_t kWatchesPerUser = 250;
constexpr uid_t kFirstUser = 61'001;
constexpr std::chrono::minutes kPatience{1};

struct Watcher {
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientAsyncReader<v1::WatchVmsResponse>> stream;
  v1::WatchVmsResponse message;
  bool begun = false;
  bool has_seen = false;  // what all are waiting for
};

// All watchers, served by the calling thread.
class Audience {
 public:
  // `stubs`: of one user each.
  Audience(const std::vector<std::unique_ptr<v1::VmService::Stub>>& stubs, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      watchers_.push_back(std::make_unique<Watcher>());
      Watcher& watcher = *watchers_.back();
      watcher.stream =
          stubs[i / kWatchesPerUser]->AsyncWatchVms(&watcher.context, v1::WatchRequest(), &queue_, &watcher);
    }
  }
  ~Audience() {
    for (const auto& watcher : watchers_) watcher->context.TryCancel();
    queue_.Shutdown();
    void* tag;
    bool ok;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  // Until each has read one message that `is_it`; `seen` is called for each of them.
  template <typename IsIt, typename Seen>
  void All(IsIt is_it, Seen seen) {
    for (const auto& watcher : watchers_) watcher->has_seen = false;
    const auto give_up = std::chrono::system_clock::now() + kPatience;
    for (size_t left = watchers_.size(); left > 0;) {
      void* tag = nullptr;
      bool ok = false;
      if (queue_.AsyncNext(&tag, &ok, give_up) != grpc::CompletionQueue::GOT_EVENT) {
        Abandon(absl::StrCat(left, " watchers wait in vain"));
      }
      Watcher& watcher = *static_cast<Watcher*>(tag);
      if (!ok) Abandon("a watch ended, which was not asked to");
      // One change may be told more than once.
      if (watcher.begun && !watcher.has_seen && is_it(watcher.message)) {
        watcher.has_seen = true;
        --left;
        seen();
      }
      watcher.begun = true;
      watcher.stream->Read(&watcher.message, &watcher);
    }
  }

 private:
  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
};

}  // namespace

ControlFigures MeasureFanOut(const ControlOptions& options) {
  RaiseDescriptorLimit(10'000);
  const size_t users = (options.watchers + kWatchesPerUser - 1) / kWatchesPerUser;
  if (users > 1 && !testing::CanBeOthers()) {
    Abandon(absl::StrCat("more than ", kWatchesPerUser, " watchers are several users, and only root can be those"));
  }
  DaemonProcess daemon(options.on_disk ? DaemonProcess::State::kOnDisk : DaemonProcess::State::kInMemory);
  std::vector<std::string> flags;
  for (size_t i = 0; users > 1 && i < users; ++i) {
    flags.insert(flags.end(), {"--api-role", absl::StrCat("viewer=user:", kFirstUser + i)});
  }
  if (!daemon.Start(flags)) Abandon(daemon.errors());
  std::vector<std::unique_ptr<v1::VmService::Stub>> stubs;
  if (users <= 1) {
    stubs.push_back(v1::VmService::NewStub(daemon.NewChannel()));
  } else {
    chmod((daemon / "").c_str(), 0755);
    for (size_t i = 0; i < users; ++i) {
      const uid_t uid = kFirstUser + static_cast<uid_t>(i);
      UniqueFd connection = testing::ConnectAs({uid, uid, {}}, daemon / "api.sock");
      if (!connection.valid()) Abandon("another user cannot connect");
      stubs.push_back(v1::VmService::NewStub(grpc::CreateInsecureChannelFromFd("api", connection.release())));
    }
  }
  if (!daemon.Create("watched").ok()) Abandon("no VM");
  Audience audience(stubs, options.watchers);
  audience.All([](const v1::WatchVmsResponse& message) { return message.type() == v1::WatchVmsResponse::SYNCED; },
               [] {});

  std::vector<double> each, last;
  Stretch stretch(daemon.pid());
  for (size_t change = 0; change < options.changes; ++change) {
    const std::string round = absl::StrCat("r", change);
    v1::UpdateVmRequest request;
    request.mutable_vm()->set_name("vms/watched");
    (*request.mutable_vm()->mutable_labels())["round"] = round;
    request.mutable_update_mask()->add_paths("labels");
    grpc::ClientContext context;
    v1::Vm vm;
    const auto begin = BenchClock::now();
    // The answer is waited for, so that it does not wait behind those to the watchers; its time is in theirs.
    const grpc::Status status = daemon.vms().UpdateVm(&context, request, &vm);
    if (!status.ok()) Abandon("UpdateVm: " + status.error_message());
    double latest = 0;
    audience.All(
        [&](const v1::WatchVmsResponse& message) {
          const auto label = message.vm().labels().find("round");
          return label != message.vm().labels().end() && label->second == round;
        },
        [&] { each.push_back(latest = Milliseconds(BenchClock::now() - begin)); });
    last.push_back(latest);
  }
  stretch.Stop();
  ControlFigures figures;
  AddQuantiles("seen", each, figures);
  AddQuantiles("seen_by_all", last, figures);
  const double messages = static_cast<double>(options.changes * options.watchers);
  figures.push_back({"daemon_cpu_us_per_message", 1e6 * stretch.cpu() / messages});
  figures.push_back({"client_cpu_us_per_message", 1e6 * stretch.own_cpu() / messages});
  return figures;
}

}  // namespace kinsock::bench
