// SPDX-License-Identifier: Apache-2.0
//
// Daemon: what serves its clients, over gRPC and over HTTP.
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/daemon/daemon.h"

namespace kinsock {

// What answers to clients of the API, and to the page.
void Daemon::MakeServices() {
  vm_service_ = std::make_unique<VmService>(loop_, *manager_, hub_, access_, audit_);
  connection_service_ = std::make_unique<ConnectionService>(loop_, *manager_, *networks_, *pool_, *snapshots_,
                                                            instance_, access_, audit_, config_.capture_payload);
  network_service_ = std::make_unique<NetworkService>(loop_, *networks_, *manager_, access_, audit_);
  forward_service_ = std::make_unique<ForwardService>(loop_, *forwards_, access_, audit_);
  const auto set_draining = [this](bool draining) {
    manager_->SetDraining(draining);
    if (api_ != nullptr) api_->SetVmsServing(!draining);
  };
  const auto reload = [this](ReloadRequest request, ConfigReloader::Done done) {
    reloader_->Reload(request, std::move(done));
  };
  admin_service_ = std::make_unique<AdminService>(
      loop_, AdminService::Hooks{[this] { return Look(); }, set_draining, reload, [this] { return LookAtConfig(); }},
      access_, audit_, events_);
}

absl::Status Daemon::StartApi() {
  std::vector<ApiSocket> sockets = api_sockets_.TakeApi();
  if (sockets.empty()) return absl::OkStatus();
  const ApiServer::Admission admission{
      [this](const grpc::CallbackServerContext& call) { return access_.AdmitSchema(call); },
      [this](const grpc::CallbackServerContext& call, std::string_view method) {
        return access_.AdmitHealth(call, method);
      }};
  KINSOCK_ASSIGN_OR_RETURN(
      api_, ApiServer::Start({vm_service_.get(), connection_service_.get(), network_service_.get(),
                              forward_service_.get(), admin_service_.get()},
                             api_metrics_, config_.api_tcp.empty() ? std::nullopt : std::make_optional(config_.tls),
                             admission));
  greeter_ = std::make_unique<ApiGreeter>(loop_, [this](UniqueFd connection) { api_->Serve(std::move(connection)); });
  for (ApiSocket& api : sockets) {
    const ApiSocket::Kind kind = api.kind;
    const auto identify = [this, kind](int fd) { return IdentifyOnApi(kind, *access_.rules(), fd); };
    const auto serve = [this, kind](UniqueFd connection) {
      if (kind == ApiSocket::Kind::kTcp) return api_->ServeTls(std::move(connection));
      greeter_->Greet(std::move(connection));
    };
    listeners_.push_back(
        std::make_unique<ApiListener>(loop_, std::move(api.socket), api_connections_, identify, serve));
    const absl::Status started = listeners_.back()->Start();
    if (!started.ok()) return absl::Status(started.code(), absl::StrCat("--api: ", started.message()));
  }
  api_->SetServing(true);
  heartbeat_->WatchReactors([this](bool alive) { OnReactorsAlive(alive); });
  ReturnMemoryFromTimeToTime();
  return absl::OkStatus();
}

absl::Status Daemon::StartHttp() {
  std::optional<BoundSocket> socket = api_sockets_.TakeHttp();
  if (!socket.has_value()) return absl::OkStatus();
  const auto identify = [this](int fd) { return IdentifyOverHttp(config_.http, *access_.rules(), fd); };
  observer_ = std::make_unique<Observer>(
      *std::move(socket), config_.http, identify,
      Observer::Sources{[this] { return Sample(); },
                        loop_,
                        *heartbeat_,
                        api_metrics_,
                        {vm_service_.get(), connection_service_.get(), network_service_.get(), admin_service_.get()},
                        events_});
  const absl::Status started = observer_->Start();
  return started.ok() ? started : absl::Status(started.code(), absl::StrCat("--http: ", started.message()));
}

}  // namespace kinsock
