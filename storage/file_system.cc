#include "storage/file_system.h"

#include <fmt/format.h>

namespace tidemark::storage {
namespace {

/// Makes the temporary file anew. One left by a crash is never written over: its name and the target may by then be two names of one file.
Result<std::unique_ptr<File>> create_temporary(FileSystem& files, const std::string& path) {
  Result<std::unique_ptr<File>> created = files.open(path, OpenMode::create_new);
  if (created || created.error().code != Errc::conflict) return created;
  if (const Status removed = files.remove(path); !removed) return removed.error();
  return files.open(path, OpenMode::create_new);
}

Status write_and_rename(FileSystem& files, const std::string& temporary, const std::string& path, ByteView contents) {
  const Result<std::unique_ptr<File>> file = create_temporary(files, temporary);
  if (!file) return file.error();
  if (const Status written = (*file)->write(FilePosition{0}, std::span(&contents, 1)); !written) return written.error();
  // Before the rename: else a crash could leave the new name with none of the new bytes.
  if (const Status synced = (*file)->sync(); !synced) return synced.error();
  return files.rename(temporary, path);
}

}  // namespace

Result<ByteVector> read_file(FileSystem& files, const std::string& path, std::size_t bytes_max) {
  const Result<std::unique_ptr<File>> file = files.open(path, OpenMode::read);
  if (!file) return file.error();
  const Result<std::uint64_t> size = (*file)->size();
  if (!size) return size.error();
  if (*size > bytes_max) return Error{Errc::io_error, fmt::format("{}: {} bytes, at most {} expected", path, *size, bytes_max)};
  ByteVector contents(*size);
  const Result<std::size_t> read = (*file)->read(FilePosition{0}, contents);
  if (!read) return read.error();
  contents.resize(*read);
  return contents;
}

Status replace_file(FileSystem& files, const std::string& path, ByteView contents) {
  const std::string temporary = path + ".tmp";
  if (const Status replaced = write_and_rename(files, temporary, path, contents); !replaced) {
    // Gives the space back on a full disk. What cannot be removed either is made anew by the next call.
    Error error = replaced.error();
    const Status removed = files.remove(temporary);
    if (!removed && removed.error().code != Errc::not_found) error.detail += "; left behind: " + removed.error().detail;
    return error;
  }
  return files.sync_directory(parent_directory(path));
}

std::string parent_directory(const std::string& path) {
  const std::size_t end = path.find_last_not_of('/');
  if (end == std::string::npos) return path.empty() ? "." : "/";
  const std::size_t slash = path.rfind('/', end);
  if (slash == std::string::npos) return ".";
  const std::size_t parent_end = path.find_last_not_of('/', slash);
  return parent_end == std::string::npos ? "/" : path.substr(0, parent_end + 1);
}

}  // namespace tidemark::storage
