// SPDX-License-Identifier: Apache-2.0
#include "tests/server/daemon_process.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>

#include "tests/support/require.h"
#include "tests/support/unix_socket.h"

namespace kinsock::testing {
namespace {

constexpr std::chrono::seconds kPatience{60};

void SetDeadline(grpc::ClientContext& context) { context.set_deadline(std::chrono::system_clock::now() + kPatience); }

}  // namespace

DaemonProcess::DaemonProcess(State state) : state_(state) { setenv("XDG_RUNTIME_DIR", dir_.path().c_str(), 1); }

void DaemonProcess::Launch(const std::vector<std::string>& flags) {
  std::vector<std::string> argv = {"server/kinsockd", "--api", "unix:" + dir_ / "api.sock"};
  if (state_ == State::kOnDisk) argv.insert(argv.end(), {"--state-dir", dir_ / "state"});
  argv.insert(argv.end(), flags.begin(), flags.end());
  process_ = std::make_unique<Process>(argv);
}

bool DaemonProcess::Start(const std::vector<std::string>& flags) {
  Launch(flags);
  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  // gRPC waits for seconds before it tries once more to connect to a socket where nobody listens.
  while (process_->running() && !TryConnect(NewUnixSocket(), dir_ / "api.sock")) {
    Require(std::chrono::steady_clock::now() < give_up, "kinsockd neither listens nor ends");
    process_->Wait(std::chrono::milliseconds(2));
  }
  // It listens before it serves: a call that is answered is the sign.
  channel_ = NewChannel();
  vms_ = v1::VmService::NewStub(channel_);
  while (process_->running()) {
    Require(std::chrono::steady_clock::now() < give_up, "kinsockd neither serves nor ends");
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(1));
    v1::ListVmsRequest request;
    request.set_page_size(1);
    v1::ListVmsResponse page;
    if (vms_->ListVms(&context, request, &page).ok()) return true;
    process_->Wait(std::chrono::milliseconds(2));
  }
  return false;
}

std::shared_ptr<grpc::Channel> DaemonProcess::NewChannel() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 5);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 50);
  return grpc::CreateCustomChannel("unix:" + dir_ / "api.sock", grpc::InsecureChannelCredentials(), arguments);
}

int DaemonProcess::Stop() { return process_->Stop(kPatience); }

void DaemonProcess::Kill(std::chrono::milliseconds delay) {
  process_->Wait(delay);
  process_->Signal(SIGKILL);
  process_->Wait(kPatience);
}

grpc::Status DaemonProcess::Create(const v1::CreateVmRequest& request, v1::Vm* vm) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::Vm ignored;
  return vms_->CreateVm(&context, request, vm != nullptr ? vm : &ignored);
}

grpc::Status DaemonProcess::Create(const std::string& id, uint32_t cid, v1::Vm* vm) {
  v1::CreateVmRequest request;
  request.set_vm_id(id);
  if (cid != 0) request.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(cid);
  return Create(request, vm);
}

grpc::Status DaemonProcess::Delete(const std::string& id) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::DeleteVmRequest request;
  request.set_name("vms/" + id);
  v1::Vm ignored;
  return vms_->DeleteVm(&context, request, &ignored);
}

v1::Vm DaemonProcess::Get(const std::string& id) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::GetVmRequest request;
  request.set_name("vms/" + id);
  v1::Vm vm;
  vms_->GetVm(&context, request, &vm);
  return vm;
}

std::map<std::string, v1::Vm> DaemonProcess::List() {
  std::map<std::string, v1::Vm> vms;
  v1::ListVmsRequest request;
  request.set_page_size(1000);
  v1::ListVmsResponse page;
  do {
    grpc::ClientContext context;
    SetDeadline(context);
    request.set_page_token(page.next_page_token());
    Require(vms_->ListVms(&context, request, &page).ok(), "ListVms failed");
    for (const v1::Vm& vm : page.vms()) vms[vm.name().substr(4)] = vm;
  } while (!page.next_page_token().empty());
  return vms;
}

}  // namespace kinsock::testing
