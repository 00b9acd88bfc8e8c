// SPDX-License-Identifier: Apache-2.0
#include "cli/top/vm_progress.h"

#include <grpcpp/completion_queue.h>
#include <grpcpp/support/async_unary_call.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "cli/text/progress.h"
#include "cli/top/top.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kLookInterval{1};

// "web is DRAINING, 3 connections"; empty: nobody says.
std::string StateText(Client& client, const std::string& name) {
  grpc::ClientContext context;
  client.SetDeadline(context, kLookInterval);
  v1::GetVmRequest request;
  request.set_name(name);
  request.set_view(v1::FULL);
  v1::ListVmsResponse one;
  if (!client.vms().GetVm(&context, request, one.add_vms()).ok()) return "";
  const v1::Vm& vm = one.vms(0);
  Top top;
  return absl::StrCat(ShortVmName(name), " is ", v1::VmStatus::State_Name(vm.status().state()), ", ",
                      top.LookAtVms(one, 0).front().connections, " connections; ");
}

}  // namespace

grpc::Status AwaitVmCall(Client& client, const std::string& name, const std::string& what,
                         std::unique_ptr<grpc::ClientContext> context, const BeginVmCall& begin, v1::Vm& vm) {
  Progress progress;
  grpc::CompletionQueue queue;
  grpc::Status status;
  const auto begun = Clock::now();
  const auto reader = begin(context.get(), &queue);
  reader->Finish(&vm, &status, &status);
  void* tag = nullptr;
  bool ok = false;
  while (queue.AsyncNext(&tag, &ok, std::chrono::system_clock::now() + kLookInterval) ==
         grpc::CompletionQueue::TIMEOUT) {
    if (!progress.is_seen()) continue;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begun).count();
    progress.Say(absl::StrCat(StateText(client, name), what, " (", seconds, " s)"));
  }
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  return status;
}

}  // namespace kinsock
