// SPDX-License-Identifier: Apache-2.0
//
// The configuration as pieces of a file.
#include "server/config/config_dump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/config/yaml_config.h"

namespace kinsock {
namespace {

VmSnapshotPtr Vm(size_t number, size_t annotation_bytes) {
  auto definition = std::make_shared<VmDefinition>();
  definition->id = absl::StrCat("vm-", number);
  definition->uid = "uid";
  definition->labels = {{"tier", "web"}, {"number", absl::StrCat(number)}};
  definition->annotations = {{"note", std::string(annotation_bytes, 'x')}};
  definition->spec.cid = CidRequest::Fixed(static_cast<Cid>(100 + number));
  definition->spec.vhost_user_socket = absl::StrCat("/run/kinsock/vm-", number, ".sock");
  definition->configured = number % 2 == 0;
  auto vm = std::make_shared<VmSnapshot>();
  vm->definition = std::move(definition);
  return vm;
}

struct Dumped {
  std::string yaml;
  size_t pieces = 0;
  size_t largest = 0;  // bytes, as is all
  size_t all = 0;
  int vms = 0;
};

Dumped Dump(size_t vms, size_t annotation_bytes, bool file_only) {
  ConfigSnapshot snapshot;
  std::vector<VmSnapshotPtr> list;
  for (size_t i = 0; i < vms; ++i) list.push_back(Vm(i, annotation_bytes));
  snapshot.vms = std::make_shared<const std::vector<VmSnapshotPtr>>(std::move(list));
  ConfigDump dump(std::move(snapshot), file_only);
  Dumped dumped;
  v1::ConfigDump piece;
  while (dump.Next(piece)) {
    ++dumped.pieces;
    dumped.yaml += piece.yaml();
    dumped.largest = std::max<size_t>(dumped.largest, piece.ByteSizeLong());
    dumped.all += piece.ByteSizeLong();
    dumped.vms += piece.vms_size();
  }
  return dumped;
}

TEST(ConfigDumpTest, TenThousandVmsAreAFileInPieces) {
  const Dumped dumped = Dump(10'000, 20, false);
  EXPECT_EQ(dumped.vms, 10'000);
  EXPECT_GT(dumped.pieces, 3u);
  EXPECT_LT(dumped.all, 6u << 20) << "as docs/configuration.md says";
  EXPECT_LT(dumped.largest, 2u << 20);
  const absl::StatusOr<YamlConfig> read = ParseYamlConfig(dumped.yaml, "f");
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->vms.size(), 10'000u);
  EXPECT_EQ(read->vms[9'999].creation.id, "vm-9999");
  EXPECT_EQ(read->vms[9'999].creation.labels.at("number"), "9999");
}

TEST(ConfigDumpTest, TheLargestVmsStayFarBelowTheSizeOfAMessage) {
  const Dumped dumped = Dump(500, 16'000, false);
  EXPECT_EQ(dumped.vms, 500);
  EXPECT_LT(dumped.largest, 2u << 20);
}

TEST(ConfigDumpTest, TheFilesPartIsWithoutTheApis) {
  EXPECT_EQ(Dump(9, 1, true).vms, 5);
  const Dumped none = Dump(0, 1, false);
  EXPECT_EQ(none.pieces, 1u) << "the settings";
  EXPECT_TRUE(ParseYamlConfig(none.yaml, "f").ok());
}

}  // namespace
}  // namespace kinsock
