// SPDX-License-Identifier: Apache-2.0
#include "tests/server/running_daemon.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <cstdlib>
#include <future>
#include <utility>

#include "api/google/rpc/status.pb.h"
#include "server/daemon/daemon.h"

namespace kinsock::testing {
namespace {

template <typename Message>
Message Detail(const grpc::Status& status) {
  google::rpc::Status packed;
  packed.ParseFromString(status.error_details());
  Message message;
  for (const google::protobuf::Any& any : packed.details()) {
    if (any.UnpackTo(&message)) break;
  }
  return message;
}

}  // namespace

RunningDaemon::RunningDaemon(Config config, std::function<ConfigReading()> reread, bool http) {
  setenv("XDG_RUNTIME_DIR", dir_.path().c_str(), 1);
  const auto place_sockets = [this, http](Config& placed) {
    placed.api_sockets = {api_socket()};
    if (http) placed.http.socket = http_socket();
  };
  place_sockets(config);
  if (reread != nullptr) {
    reread = [reread = std::move(reread), place_sockets] {
      ConfigReading reading = reread();
      place_sockets(reading.config);
      return reading;
    };
  }
  std::promise<absl::Status> started;
  thread_ = std::thread([this, &started, config = std::move(config), reread = std::move(reread)] {
    // Made, run and unmade on one thread, which is its main thread.
    Daemon daemon(config, reread);
    absl::Status status = daemon.Start();
    const bool running = status.ok();
    daemon_ = &daemon;
    started.set_value(std::move(status));
    if (running) daemon.Run();
  });
  started_ = started.get_future().get();
  const std::shared_ptr<grpc::Channel> channel = NewChannel();
  vms_ = v1::VmService::NewStub(channel);
  connections_ = v1::ConnectionService::NewStub(channel);
  networks_ = v1::NetworkService::NewStub(channel);
  forwards_ = v1::ForwardService::NewStub(channel);
  admin_ = v1::AdminService::NewStub(channel);
}

void RunningDaemon::Stop() {
  if (!thread_.joinable()) return;
  if (started_.ok()) daemon_->RequestStop();
  thread_.join();
}

std::shared_ptr<grpc::Channel> RunningDaemon::NewChannel() const {
  grpc::ChannelArguments arguments;
  // Else all channels to one socket share a connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel("unix:" + api_socket(), grpc::InsecureChannelCredentials(), arguments);
}

grpc::Status RunningDaemon::Create(const v1::CreateVmRequest& request, v1::Vm* vm) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::Vm ignored;
  return vms_->CreateVm(&context, request, vm != nullptr ? vm : &ignored);
}

grpc::Status RunningDaemon::Create(const std::string& id, uint32_t cid, v1::Vm* vm) {
  v1::CreateVmRequest request;
  request.set_vm_id(id);
  if (cid != 0) request.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(cid);
  return Create(request, vm);
}

grpc::Status RunningDaemon::Get(const std::string& name, v1::Vm* vm) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::GetVmRequest request;
  request.set_name(name);
  v1::Vm ignored;
  return vms_->GetVm(&context, request, vm != nullptr ? vm : &ignored);
}

grpc::Status RunningDaemon::List(const v1::ListVmsRequest& request, v1::ListVmsResponse* page) {
  grpc::ClientContext context;
  SetDeadline(context);
  return vms_->ListVms(&context, request, page);
}

grpc::Status RunningDaemon::Delete(const v1::DeleteVmRequest& request, v1::Vm* vm) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::Vm ignored;
  return vms_->DeleteVm(&context, request, vm != nullptr ? vm : &ignored);
}

grpc::Status RunningDaemon::Delete(const std::string& id, bool force) {
  v1::DeleteVmRequest request;
  request.set_name("vms/" + id);
  request.set_force(force);
  return Delete(request);
}

v1::Info RunningDaemon::Info() {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::Info info;
  admin_->GetInfo(&context, v1::GetInfoRequest(), &info);
  return info;
}

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + RunningDaemon::kPatience);
}

google::rpc::ErrorInfo Info(const grpc::Status& status) { return Detail<google::rpc::ErrorInfo>(status); }
google::rpc::BadRequest BadFields(const grpc::Status& status) { return Detail<google::rpc::BadRequest>(status); }
std::string Reason(const grpc::Status& status) { return Info(status).reason(); }

}  // namespace kinsock::testing
