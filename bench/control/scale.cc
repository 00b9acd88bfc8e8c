// SPDX-License-Identifier: Apache-2.0
#include <grpcpp/client_context.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/kinsock/v1/vm_service.grpc.pb.h"
#include "bench/control/measure.h"
#include "bench/probe.h"
#include "tests/server/daemon_process.h"
#include "tests/support/unix_socket.h"

namespace kinsock::bench {
namespace {

using testing::DaemonProcess;

constexpr size_t kDescriptorsPerVm = 8;
constexpr size_t kFewVms = 10;

// By several clients at a time; the ids begin with `prefix`.
void CreateVms(DaemonProcess& daemon, const std::string& prefix, size_t count, size_t clients) {
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (size_t client = 0; client < clients; ++client) {
    threads.emplace_back([&] {
      for (size_t i = next++; i < count; i = next++) {
        const grpc::Status status = daemon.Create(absl::StrCat(prefix, i));
        if (!status.ok()) Abandon(absl::StrCat("VM ", i, " was not made: ", status.error_message()));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Until SYNCED; returns how many VMs were told.
size_t WatchAll(DaemonProcess& daemon) {
  grpc::ClientContext context;
  const auto reader = daemon.vms().WatchVms(&context, v1::WatchRequest());
  v1::WatchVmsResponse message;
  size_t vms = 0;
  while (reader->Read(&message) && message.type() != v1::WatchVmsResponse::SYNCED) ++vms;
  if (message.type() != v1::WatchVmsResponse::SYNCED) Abandon("a watch ended: " + reader->Finish().error_message());
  context.TryCancel();
  reader->Finish();
  return vms;
}

// Until somebody listens at `path`.
void AwaitListener(DaemonProcess& daemon, const std::string& path) {
  constexpr std::chrono::minutes kPatience{2};
  const auto give_up = BenchClock::now() + kPatience;
  while (!testing::TryConnect(testing::NewUnixSocket(), path)) {
    if (BenchClock::now() > give_up) Abandon("nobody listens at " + path + ": " + daemon.errors());
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

}  // namespace

ControlFigures MeasureScale(const ControlOptions& options) {
  RaiseDescriptorLimit(kDescriptorsPerVm * options.vms + 1000);
  DaemonProcess daemon(options.on_disk ? DaemonProcess::State::kOnDisk : DaemonProcess::State::kInMemory);
  if (!daemon.Start()) Abandon(daemon.errors());
  // What the first VMs and calls need once is not a VM's.
  CreateVms(daemon, "first", kFewVms, options.clients);
  daemon.List();
  WatchAll(daemon);
  const double memory = static_cast<double>(OwnMemoryBytes(daemon.pid()));
  const double descriptors = static_cast<double>(Descriptors(daemon.pid()));

  const auto count = static_cast<double>(options.vms);
  ControlFigures figures;
  auto begin = BenchClock::now();
  CreateVms(daemon, "vm", options.vms, options.clients);
  figures.push_back({"created_per_s", count / Seconds(BenchClock::now() - begin)});
  figures.push_back({"kib_each", (static_cast<double>(OwnMemoryBytes(daemon.pid())) - memory) / 1024 / count});
  figures.push_back({"descriptors_each", (static_cast<double>(Descriptors(daemon.pid())) - descriptors) / count});
  figures.push_back({"threads", static_cast<double>(Threads(daemon.pid()))});
  begin = BenchClock::now();
  const size_t listed = daemon.List().size();
  figures.push_back({"list_ms", Milliseconds(BenchClock::now() - begin)});
  begin = BenchClock::now();
  const size_t watched = WatchAll(daemon);
  figures.push_back({"synced_ms", Milliseconds(BenchClock::now() - begin)});
  if (listed != options.vms + kFewVms || watched != listed) {
    Abandon(absl::StrCat("of ", options.vms + kFewVms, " VMs ", listed, " were listed and ", watched, " watched"));
  }
  daemon.Stop();
  return figures;
}

ControlFigures MeasureRestart(const ControlOptions& options) {
  RaiseDescriptorLimit(kDescriptorsPerVm * options.vms + 1000);
  DaemonProcess daemon;
  if (!daemon.Start()) Abandon(daemon.errors());
  CreateVms(daemon, "vm", options.vms, options.clients);
  std::vector<std::string> sockets;
  for (const auto& [id, vm] : daemon.List()) sockets.push_back(vm.status().vhost_user_socket());
  std::vector<double> listening;
  for (size_t round = 0; round < options.rounds; ++round) {
    daemon.Kill();
    const auto begin = BenchClock::now();
    daemon.Launch();
    for (const std::string& socket : sockets) AwaitListener(daemon, socket);
    listening.push_back(Milliseconds(BenchClock::now() - begin));
  }
  ControlFigures figures;
  figures.push_back({"all_accept_p50_ms", Quantile(listening, 0.5)});
  figures.push_back({"all_accept_worst_ms", Quantile(listening, 1)});
  daemon.Stop();
  return figures;
}

}  // namespace kinsock::bench
