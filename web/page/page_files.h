// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_PAGE_PAGE_FILES_H_
#define KINSOCK_WEB_PAGE_PAGE_FILES_H_

#include <string_view>
#include <vector>

namespace kinsock {

// A file of the page, as it was when the daemon was built. Static storage.
struct PageFile {
  const char* path;  // "/" is index.html, "/ui/NAME" any other
  const char* type;  // of its content
  std::string_view content;
};

// All of them. Any thread.
std::vector<PageFile> PageFiles();

}  // namespace kinsock

#endif  // KINSOCK_WEB_PAGE_PAGE_FILES_H_
