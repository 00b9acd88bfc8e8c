// SPDX-License-Identifier: Apache-2.0
#include <grpcpp/client_context.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/kinsock/v1/vm_service.grpc.pb.h"
#include "bench/control/measure.h"
#include "bench/probe.h"
#include "tests/server/daemon_process.h"

namespace kinsock::bench {
namespace {

using testing::DaemonProcess;
using Stub = v1::VmService::Stub;

// The times that one kind of call took, in milliseconds.
using Times = std::vector<double>;

template <typename Request>
void Call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, v1::Vm*),
          const Request& request, Times& times) {
  grpc::ClientContext context;
  v1::Vm vm;
  const auto begin = BenchClock::now();
  const grpc::Status status = (stub.*method)(&context, request, &vm);
  times.push_back(Milliseconds(BenchClock::now() - begin));
  if (!status.ok()) Abandon(absl::StrCat(Request::descriptor()->name(), ": ", status.error_message()));
}

// All clients do the same kind of call at the same time; returns how many were answered in a second.
template <typename Request>
double AllCall(std::vector<std::unique_ptr<Stub>>& stubs, size_t each,
               grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, v1::Vm*),
               Request (*make)(const std::string& id), Times& times) {
  std::vector<Times> of_each(stubs.size());
  std::vector<std::thread> threads;
  const auto begin = BenchClock::now();
  for (size_t client = 0; client < stubs.size(); ++client) {
    threads.emplace_back([&, client] {
      for (size_t i = 0; i < each; ++i) {
        Call(*stubs[client], method, make(absl::StrCat("m", client, "-", i)), of_each[client]);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = Seconds(BenchClock::now() - begin);
  for (const Times& some : of_each) times.insert(times.end(), some.begin(), some.end());
  return static_cast<double>(times.size()) / seconds;
}

template <typename Request>
Request Named(const std::string& id) {
  Request request;
  request.set_name("vms/" + id);
  return request;
}

v1::CreateVmRequest Creation(const std::string& id) {
  v1::CreateVmRequest request;
  request.set_vm_id(id);
  return request;
}

v1::UpdateVmRequest Update(const std::string& id) {
  v1::UpdateVmRequest request;
  request.mutable_vm()->set_name("vms/" + id);
  (*request.mutable_vm()->mutable_labels())["tier"] = "web";
  request.mutable_update_mask()->add_paths("labels");
  return request;
}

}  // namespace

ControlFigures MeasureMutations(const ControlOptions& options) {
  RaiseDescriptorLimit(4 * options.calls + 1000);
  DaemonProcess daemon(options.on_disk ? DaemonProcess::State::kOnDisk : DaemonProcess::State::kInMemory);
  if (!daemon.Start()) Abandon(daemon.errors());
  std::vector<std::unique_ptr<Stub>> stubs;
  for (size_t i = 0; i < options.clients; ++i) stubs.push_back(v1::VmService::NewStub(daemon.NewChannel()));
  // The first calls also connect.
  Times ignored;
  AllCall<v1::CreateVmRequest>(
      stubs, 1, &Stub::CreateVm, [](const std::string& id) { return Creation("w" + id); }, ignored);

  ControlFigures figures;
  const size_t each = options.calls / options.clients;
  const auto measure = [&](const std::string& name, auto method, auto make) {
    Times times;
    const double rate = AllCall(stubs, each, method, make, times);
    AddQuantiles(name, times, figures);
    figures.push_back({name + "_per_s", rate});
  };
  measure("create", &Stub::CreateVm, Creation);
  measure("get", &Stub::GetVm, Named<v1::GetVmRequest>);
  measure("update", &Stub::UpdateVm, Update);
  measure("delete", &Stub::DeleteVm, Named<v1::DeleteVmRequest>);
  daemon.Stop();
  return figures;
}

}  // namespace kinsock::bench
