// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/api_server.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>

#include <future>
#include <string>
#include <utility>

#include "server/host/log.h"
#include "server/rpc/api_limits.h"
#include "server/rpc/malformed_request.h"
#include "server/rpc/reflection_service.h"

namespace kinsock {
namespace {

// What the libraries have to say goes into our log, which is bounded and never blocks; theirs are neither. Clients make
// them talk: text that is not UTF-8 is one line each.
void LogFromProtobuf(google::protobuf::LogLevel level, const char*, int, const std::string& message) {
  Log(level >= google::protobuf::LOGLEVEL_ERROR ? LogLevel::kError : LogLevel::kWarning, "protobuf")
      .With("message", message);
  NoteParserMessage(message);
}

void LogFromGrpc(gpr_log_func_args* args) {
  Log(args->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kError : LogLevel::kWarning, "grpc")
      .With("message", args->message);
}

constexpr char kDataPlane[] = "kinsock.dataplane";

// How often it is looked at, when the daemon stops, whether connections are closed: nothing tells.
constexpr std::chrono::milliseconds kLook{5};

int Milliseconds(std::chrono::seconds time) {
  return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

void SetLimits(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  grpc::ResourceQuota quota("kinsock.api");
  quota.Resize(kMaxApiBytes);
  builder.SetResourceQuota(quota);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Milliseconds(kTlsHandshake));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(kKeepalive));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(kKeepalive) / 2);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, Milliseconds(kMinPingInterval));
}

std::shared_ptr<grpc::ServerCredentials> TlsCredentials(const TlsFiles& files) {
  const auto provider = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      files.key, files.certificate, files.client_ca, static_cast<unsigned>(kTlsReload.count()));
  grpc::experimental::TlsServerCredentialsOptions options(provider);
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ApiServer>> ApiServer::Start(const std::vector<grpc::Service*>& services,
                                                            ApiMetrics& metrics, const std::optional<TlsFiles>& tls,
                                                            Admission admission) {
  gpr_set_log_function(LogFromGrpc);
  google::protobuf::SetLogHandler(LogFromProtobuf);
  grpc::ServerBuilder builder;
  SetLimits(builder);
  std::unique_ptr<ApiServer> api(new ApiServer(std::move(admission.health)));
  api->reflection_ = MakeReflectionServices(std::move(admission.schema));
  if (tls.has_value()) {
    api->tls_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, TlsCredentials(*tls));
  }
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(MakeMalformedRequestInterceptors());
  interceptors.push_back(metrics.NewInterceptors());  // sees what became of the status
  interceptors.push_back(api->calls_.NewInterceptors());
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  for (grpc::Service* service : services) builder.RegisterService(service);
  builder.RegisterService(&api->health_);
  for (const auto& service : api->reflection_) builder.RegisterService(service.get());
  api->server_ = builder.BuildAndStart();
  if (api->server_ == nullptr) return absl::InternalError("gRPC does not start its server; see its own messages");
  return api;
}

void ApiServer::Serve(UniqueFd connection) { grpc::AddInsecureChannelFromFd(server_.get(), connection.release()); }

void ApiServer::ServeTls(UniqueFd connection) {
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
  parameters.fd = connection.release();
  tls_->HandleNewConnection(&parameters);
}

void ApiServer::SetServing(bool serving) {
  for (const char* service : {"", "kinsock.v1.VmService", "kinsock.v1.ConnectionService", "kinsock.v1.NetworkService",
                              "kinsock.v1.ForwardService", "kinsock.v1.AdminService", kDataPlane}) {
    health_.Set(service, serving);
  }
}

void ApiServer::SetDataPlaneServing(bool serving) { health_.Set(kDataPlane, serving); }

void ApiServer::SetVmsServing(bool serving) { health_.Set("kinsock.v1.VmService", serving); }

void ApiServer::Close() {
  health_.Close();
  calls_.Close();
}

void ApiServer::Shutdown(std::chrono::milliseconds grace) {
  calls_.Close();
  const auto deadline = std::chrono::steady_clock::now() + grace;
  calls_.AwaitNone(deadline);
  const std::chrono::nanoseconds left = deadline - std::chrono::steady_clock::now();
  const std::future<void> down =
      std::async(std::launch::async, [this, left] { server_->Shutdown(std::chrono::system_clock::now() + left); });
  while (down.wait_for(kLook) == std::future_status::timeout) {
    if (calls_.ConnectionsAreClosed()) grpc_server_cancel_all_calls(server_->c_server());
  }
}

}  // namespace kinsock
