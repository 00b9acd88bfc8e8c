// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/util/time_util.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "cli/call/ask.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/text/output.h"
#include "cli/view/conn_view.h"
#include "cli/view/event_view.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

// Two streams of the daemon about one VM, as one: its events, and its connections. When either ends, so does the other.
class Trace {
 public:
  Trace(const std::string& vm, const Options& options)
      : vm_(vm), options_(options), for_events_(options), for_connections_(options) {}

  ExitCode Run() {
    // A name that is mistyped is an error, not silence.
    v1::GetVmRequest request;
    request.set_name(vm_);
    v1::Vm found;
    const grpc::Status known = Ask(for_events_, for_events_.vms(), &v1::VmService::Stub::GetVm, request, found);
    if (!known.ok()) return for_events_.Report(known);
    for (grpc::ClientContext* context : {&events_, &connections_}) {
      if (options_.timeout.has_value()) for_events_.SetDeadline(*context, *options_.timeout);
    }
    ExitCode of_events = kExitOk;
    std::thread events([&] { of_events = FollowEvents(); });
    const ExitCode of_connections = FollowConnections();
    events.join();
    return Worse(of_events, of_connections);
  }

 private:
  ExitCode FollowEvents() {
    const auto stream = for_events_.admin().WatchEvents(&events_, v1::WatchRequest());
    v1::Event event;
    while (stream->Read(&event)) {
      if (IsAbout(event, vm_)) Say(RenderEvent(event, options_));
      if (event.object() == vm_ && event.reason() == "VM_DELETED" && synced_) break;  // nothing comes after it
      if (event.type() == v1::Event::SYNCED) synced_ = true;
    }
    return End(events_, connections_, *stream, for_events_);
  }

  ExitCode FollowConnections() {
    v1::WatchConnectionsRequest request;
    request.set_vm(vm_);
    const auto stream = for_connections_.connections().WatchConnections(&connections_, request);
    v1::WatchConnectionsResponse change;
    while (stream->Read(&change)) {
      std::string text = RenderConnectionChange(change, options_);
      if (options_.format == OutputFormat::kTable || options_.format == OutputFormat::kWide) {
        if (text.empty()) continue;  // a mark
        const auto now = google::protobuf::util::TimeUtil::GetCurrentTime();
        text = absl::StrCat(google::protobuf::util::TimeUtil::ToString(now), "  conn  ", text);
      }
      Say(text);
    }
    return End(connections_, events_, *stream, for_connections_);
  }

  // Of the one that ends first it is told how.
  template <typename Stream>
  ExitCode End(grpc::ClientContext& own, grpc::ClientContext& other, Stream& stream, const Client& client) {
    const bool is_first = !ending_.exchange(true);
    if (is_first) other.TryCancel();
    own.TryCancel();
    const grpc::Status status = stream.Finish();
    return is_first && status.error_code() != grpc::StatusCode::CANCELLED ? client.Report(status) : kExitOk;
  }

  void Say(const std::string& text) {
    const std::lock_guard<std::mutex> lock(output_);
    Print(text);
    if (std::ferror(stdout) != 0) {  // nobody reads us
      events_.TryCancel();
      connections_.TryCancel();
    }
  }

  const std::string vm_;
  const Options& options_;
  Client for_events_;  // one for each thread, for what it notes of its calls
  Client for_connections_;
  grpc::ClientContext events_;
  grpc::ClientContext connections_;
  bool synced_ = false;  // of the thread of the events
  std::atomic<bool> ending_{false};
  std::mutex output_;
};

}  // namespace

void DeclareTrace(CLI::App& app, Command& command) {
  CLI::App* trace = app.add_subcommand(
      "trace", "Show what has happened to a VM and then what happens: state, changes, connections, denials");
  auto vm = std::make_shared<std::string>();
  trace->add_option("VM", *vm, "Which VM")->required();
  trace->footer(
      "It ends when the VM is deleted. For programs, each line is what events -f or conn watch prints.\n"
      "Examples:\n  kinsockctl trace web\n  kinsockctl trace web -o jsonl | jq -c 'select(.connection).connection'");
  trace->callback(
      [vm, &command] { command = [vm](const Options& options) { return Trace(FullVmName(*vm), options).Run(); }; });
}

}  // namespace kinsock
