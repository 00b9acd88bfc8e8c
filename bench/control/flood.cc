// SPDX-License-Identifier: Apache-2.0
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/kinsock/v1/vm_service.grpc.pb.h"
#include "bench/control/measure.h"
#include "bench/probe.h"

namespace kinsock::bench {
namespace {

using Stub = v1::VmService::Stub;

std::atomic<bool> stop_asked{false};

// One client: what is dear to the daemon, what it refuses, and what it makes and unmakes.
class Flooder {
 public:
  Flooder(const std::string& api, size_t number) : id_(absl::StrCat("flood-", getpid(), "-", number)) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ =
        v1::VmService::NewStub(grpc::CreateCustomChannel("unix:" + api, grpc::InsecureChannelCredentials(), arguments));
  }

  // Returns how many were answered, with whatever.
  uint64_t Strike() {
    v1::CreateVmRequest create;
    create.set_vm_id(id_);
    v1::ListVmsRequest list;
    list.set_page_size(1000);
    v1::GetVmRequest get;
    get.set_name("vms/nobody");
    v1::CreateVmRequest bad;
    for (int i = 0; i < 1000; ++i) (*bad.mutable_vm()->mutable_labels())[absl::StrCat("label", i)] = "?";
    v1::DeleteVmRequest remove;
    remove.set_name("vms/" + id_);
    uint64_t answered = Call<v1::Vm>(&Stub::CreateVm, create);
    answered += Call<v1::ListVmsResponse>(&Stub::ListVms, list);
    answered += Call<v1::Vm>(&Stub::GetVm, get);
    answered += Call<v1::Vm>(&Stub::CreateVm, bad);
    answered += Call<v1::Vm>(&Stub::DeleteVm, remove);
    return answered + GiveUpWatch();
  }

 private:
  template <typename Response, typename Request>
  uint64_t Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*), const Request& request) {
    grpc::ClientContext context;
    Response response;
    return (stub_.get()->*method)(&context, request, &response).error_code() != grpc::StatusCode::UNAVAILABLE ? 1 : 0;
  }

  uint64_t GiveUpWatch() {
    grpc::ClientContext context;
    const auto reader = stub_->WatchVms(&context, v1::WatchRequest());
    v1::WatchVmsResponse message;
    const bool answered = reader->Read(&message);
    context.TryCancel();
    reader->Finish();
    return answered ? 1 : 0;
  }

  const std::string id_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace

ControlFigures MeasureFlood(const ControlOptions& options) {
  constexpr std::chrono::milliseconds kLook{20};
  if (options.api.empty()) Abandon("flood needs --api");
  std::signal(SIGTERM, [](int) { stop_asked = true; });
  std::signal(SIGINT, [](int) { stop_asked = true; });
  const uint64_t before = OwnMemoryBytes(options.backend);
  uint64_t peak = before;
  std::atomic<uint64_t> answered{0};
  std::vector<std::thread> threads;
  Stretch stretch(options.backend);
  for (size_t i = 0; i < options.clients; ++i) {
    threads.emplace_back([&, i] {
      Flooder flooder(options.api, i);
      while (!stop_asked) answered += flooder.Strike();
    });
  }
  while (answered == 0 && !stop_asked) std::this_thread::sleep_for(kLook);
  // What bench/backends.py waits for.
  std::printf("attacking\n");
  std::fflush(stdout);
  while (!stop_asked) {
    std::this_thread::sleep_for(kLook);
    peak = std::max(peak, OwnMemoryBytes(options.backend));
  }
  stretch.Stop();
  for (std::thread& thread : threads) thread.join();
  return {{"strikes_per_s", static_cast<double>(answered) / stretch.wall()},
          {"attacker_cpu_percent", 100 * stretch.own_cpu() / stretch.wall()},
          {"backend_cpu_percent", 100 * stretch.cpu() / stretch.wall()},
          {"grown_mib", static_cast<double>(peak - before) / (1 << 20)}};
}

}  // namespace kinsock::bench
