// SPDX-License-Identifier: Apache-2.0
#include "server/config/config_places.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/host/runtime_dir.h"
#include "server/host/socket_path.h"
#include "server/host/vsock_listener.h"
#include "server/model/forward_address.h"
#include "server/model/vm_directory.h"

namespace kinsock {
namespace {

std::string DirectoryOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

class Look {
 public:
  Look(const Config& config, const std::vector<ActivatedSocket>& given)
      : config_(config), given_(given), runtime_dir_(RuntimeDir()) {}

  std::vector<ConfigProblem> All() {
    for (const std::string& path : config_.api_sockets) OfDaemon("api.listen", path);
    for (const std::string& path : config_.api_view_sockets) OfDaemon("api.viewer_socket", path);
    if (!config_.http.socket.empty()) OfDaemon("http.listen", config_.http.socket);
    State();
    for (const ConfiguredVm& vm : config_.vms) Vm(vm);
    for (const ConfiguredForward& forward : config_.forwards) Forward(forward);
    return std::move(problems_);
  }

 private:
  void Say(const std::string& origin, const std::string& field, const std::string& path, const std::string& fault) {
    if (!fault.empty()) problems_.push_back({origin, field, absl::StrCat(Quoted(path), " ", fault)});
  }

  // The daemon makes the runtime directory for its own sockets, which come first.
  void OfDaemon(const char* setting, const std::string& path) {
    const auto is_it = [&](const ActivatedSocket& given) {
      return CanonicalSocketPath(given.path) == CanonicalSocketPath(path);
    };
    const bool in_runtime_dir = DirectoryOf(path) == runtime_dir_;
    makes_runtime_dir_ = makes_runtime_dir_ || in_runtime_dir;
    if (std::any_of(given_.begin(), given_.end(), is_it)) return;
    Say("", setting, path, SocketPlaceFault(path, in_runtime_dir));
  }

  // The daemon makes the directory itself, and nothing above it.
  void State() {
    const std::string& directory = config_.state_dir;
    if (directory.empty()) return;
    struct stat found {};
    if (stat(directory.c_str(), &found) == 0) {
      if (!S_ISDIR(found.st_mode)) Say("", "state.dir", directory, "is not a directory");
      return;
    }
    const std::string above = directory.rfind('/') == 0 ? "/" : DirectoryOf(directory);
    if (errno == ENOENT && stat(above.c_str(), &found) != 0 && errno == ENOENT) {
      Say("", "state.dir", directory,
          absl::StrCat("lies in ", above, ", which does not exist; create the directory or choose another"));
    }
  }

  void Vm(const ConfiguredVm& vm) {
    const VmSpec& spec = vm.creation.spec;
    const std::string& id = vm.creation.id;
    const std::string own = VmDirectory(VmSocketDirOf(config_), id);
    const auto look = [&](const char* setting, const std::string& path) {
      Say(vm.origin, setting, path, SocketPlaceFault(path, DirectoryOf(path) == own || MakesDirectoryOf(path)));
    };
    if (!spec.vhost_user_socket.empty()) {
      look("socket", spec.vhost_user_socket);
    } else if (const std::string path = DefaultVmSocket(VmSocketDirOf(config_), id);
               !SocketPathFault(path, kMaxSocketPathBytes).empty()) {
      problems_.push_back({vm.origin, "socket", "by default " + SocketPathFault(path, kMaxSocketPathBytes)});
    } else {
      look("socket", path);
    }
    if (spec.has_uds) look("uds_path", spec.uds_path);
    if (!spec.vsock_proxy.has_value()) return;
    if (const absl::Status missing = CheckVsock(spec.vsock_proxy->forward_cid); !missing.ok()) {
      problems_.push_back({vm.origin, "forward_cid", std::string(missing.message())});
    }
  }

  void Forward(const ConfiguredForward& forward) {
    const ForwardSpec& spec = forward.creation.spec;
    const absl::StatusOr<HostEndpoint> endpoint = ParseForwardAddress(spec.address());
    if (!spec.to_guest() || !endpoint.ok() || endpoint->kind != HostEndpoint::Kind::kUnix) return;
    const std::string& path = endpoint->path;
    Say(forward.origin, "listen", path, SocketPlaceFault(path, MakesDirectoryOf(path)));
  }

  bool MakesDirectoryOf(const std::string& path) const {
    return makes_runtime_dir_ && DirectoryOf(path) == runtime_dir_;
  }

  const Config& config_;
  const std::vector<ActivatedSocket>& given_;
  const std::string runtime_dir_;
  bool makes_runtime_dir_ = false;
  std::vector<ConfigProblem> problems_;
};

}  // namespace

std::vector<ConfigProblem> FindMissingPlaces(const Config& config, const std::vector<ActivatedSocket>& given) {
  return Look(config, given).All();
}

}  // namespace kinsock
