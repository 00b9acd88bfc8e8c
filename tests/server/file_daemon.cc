// SPDX-License-Identifier: Apache-2.0
#include "tests/server/file_daemon.h"

#include <fstream>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/config/flag_config.h"
#include "tests/support/require.h"

namespace kinsock::testing {

FileDaemon::FileDaemon(const std::string& yaml) {
  Write(yaml);
  const std::string path = file();
  const std::vector<const char*> argv{"kinsockd", "--config", path.c_str(), "--reactors=2"};
  absl::StatusOr<CommandLine> line = ParseCommandLine(static_cast<int>(argv.size()), argv.data());
  Require(line.ok(), line.status().ToString().c_str());
  daemon_ = std::make_unique<RunningDaemon>(std::move(line->config), std::move(line->reread));
  Require(daemon_->started().ok(), daemon_->started().ToString().c_str());
}

void FileDaemon::Write(const std::string& yaml) const { std::ofstream(file(), std::ios::trunc) << yaml; }

grpc::Status FileDaemon::Reload(const v1::ReloadRequest& request, v1::ReloadResponse& response) {
  grpc::ClientContext context;
  SetDeadline(context);
  return daemon_->admin().Reload(&context, request, &response);
}

v1::ReloadResponse FileDaemon::Reload(const std::string& yaml, bool force) {
  Write(yaml);
  v1::ReloadRequest request;
  request.set_force(force);
  v1::ReloadResponse response;
  const grpc::Status status = Reload(request, response);
  Require(status.ok(), status.error_message().c_str());
  return response;
}

grpc::Status FileDaemon::Dump(bool file_only, std::vector<v1::ConfigDump>& pieces) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::DumpConfigRequest request;
  request.set_file_only(file_only);
  const auto stream = daemon_->admin().DumpConfig(&context, request);
  v1::ConfigDump piece;
  while (stream->Read(&piece)) pieces.push_back(piece);
  return stream->Finish();
}

std::string FileDaemon::Dump(bool file_only) {
  std::vector<v1::ConfigDump> pieces;
  const grpc::Status status = Dump(file_only, pieces);
  Require(status.ok(), status.error_message().c_str());
  std::string yaml;
  for (const v1::ConfigDump& piece : pieces) yaml += piece.yaml();
  return yaml;
}

v1::Vm FileDaemon::Get(const std::string& id) {
  v1::Vm vm;
  daemon_->Get("vms/" + id, &vm);
  return vm;
}

std::vector<std::string> Changes(const v1::ReloadResponse& response) {
  std::vector<std::string> changes;
  for (const v1::ConfigChange& change : response.changes()) {
    changes.push_back(absl::StrCat(absl::AsciiStrToLower(v1::ConfigChange::Action_Name(change.action())), " ",
                                   change.name(), change.reason().empty() ? "" : ": ", change.reason()));
  }
  return changes;
}

}  // namespace kinsock::testing
