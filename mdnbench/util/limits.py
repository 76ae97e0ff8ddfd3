"""All limits: for everything that comes from outside (files, downloads, names, numbers, plugins), and for every wait.

Each limit is far above the needs of normal work, and low enough that a refused input costs seconds and does not exhaust
the machine. Code compares with a limit before it decodes, expands or waits. A refusal names the number and the limit.
The end of a name is its unit: `_S` is seconds.
"""

from __future__ import annotations

# -- image files -----------------------------------------------------------------------------------------------------

MAX_PIXELS = 100_000_000  # pixels of one image, from its header: 1.2 GB as float32 RGB
MAX_PIXELS_DECODED_SLOWLY = 4_000_000  # pixels of a run-length BMP or a plain PNM: a second for each million
MAX_IMAGE_BYTES = 4 * 1024**3  # bytes of one image file: MAX_PIXELS of float64 RGB fit, with room for metadata
MAX_SEGMENT_BYTES = 4 * 1024**3  # bytes that the strips and tiles of one TIFF may claim, decoded
MAX_TIFF_TAGS = 4096  # entries of one TIFF directory; real files have some twenty
# Directories that are counted before the message has "more than": directories may form a loop.
MAX_TIFF_PAGES_COUNTED = 1000
MAX_TIFF_SEGMENTS = 200_000  # strips or tiles of one TIFF: 100 megapixels in 32×32 are 98,000
MAX_TIFF_VALUES = 1 << 16  # values of a tag that tifffile makes Python objects of; no file has more channels
MAX_TIFF_DESCRIPTION_CHARACTERS = 1 << 26  # characters of ImageDescription; the XML of microscopes is long
MAX_TIFF_SHAPE_CHARACTERS = 1000  # characters of the description in which tifffile writes an array's shape
MAX_JPEG_SCANS = 64  # scans of one JPEG; encoders usually write 10, and about 20 at most
MAX_JPEG_SCAN_PIXELS = 1_500_000_000  # scans times pixels: each scan passes over all pixels, about 10 s in all
MAX_JPEG_SEGMENTS = 20_000  # marker segments of one JPEG; the parser processes them one by one
MAX_JPEG_FILL_BYTES = 1024  # fill bytes before a marker, which Pillow reads one by one; encoders write none
MAX_PNM_HEADER_BYTES = 4096  # bytes of a header, comments included
MAX_PNM_SAMPLE_BYTES = 16  # bytes of one number in a plain file, with the space around it
MAX_STORED_IMAGE_BYTES = 3 * 8 * MAX_PIXELS + 1024  # bytes of an image in a store: three float64 channels, a header

# -- downloads -------------------------------------------------------------------------------------------------------

MAX_DOWNLOAD_BYTES = 4 * 1024**3  # bytes of a file whose manifest does not state its size
CONNECT_TIMEOUT_S = 10  # seconds for a server to accept a connection
READ_TIMEOUT_S = 60  # seconds for a server to send anything at all
SLOWEST_BYTES_PER_S = 8 * 1024  # bytes per second over a whole file; slower downloads are given up
RETRY_HOST_AFTER_S = 60.0  # seconds for which a server that could not be reached is not asked again
PARALLEL_DOWNLOADS = 4  # files that are downloaded at the same time
NETWORK_TEST_S = 3.0  # seconds for `doctor` to reach the first server

# -- requests: plan files, the command line, the Python API ------------------------------------------------------------

MAX_REQUEST_BYTES = 16 * 1024**2  # bytes of a plan, recipe, card or protocol file: TOML is parsed in memory
MAX_NAMES = 10_000  # methods, noises, levels, metrics or plugins in one request, sweeps expanded
MAX_IMAGE_NAMES = 100_000  # names in `images` of one request
MAX_SEEDS = 10_000  # noisy versions of one image
MAX_JOBS = 1024  # workers of one run
MAX_CELLS = 10_000_000  # cells of one run: each is a row of the store
MAX_TIMEOUT_S = 1e7  # seconds for one cell: four months
MAX_MEMORY_GIB = 1e6  # GiB for one worker
MAX_TRAIN_MINUTES = 1e6  # minutes for one training: two years
MAX_PAIRS = 100_000  # methods times noises of one run: each pair is looked up before anything is computed
LONGEST_NAME = 4096  # characters of one name with its options; no file name is longer
LONGEST_NUMBER = 64  # bits of a whole number in a request
LONGEST_VALUE = 200  # characters of a value that a message repeats
MAX_NAMES_LISTED = 500  # names that a message lists
MAX_NAMES_COMPARED = 2000  # names to compare with a wrong one: each takes up to a millisecond
MAX_SLUG_CHARACTERS = 80  # characters of a name that becomes part of a file's name
MAX_MODULE_NAME_CHARACTERS = 32  # characters of a new plugin's name: more would make lines of the templates too long

# -- plugins: what a command waits for ---------------------------------------------------------------------------------

PLUGIN_CALL_S = 600.0  # one call in the process of a command: load an image, prepare a metric, make a network
PLUGIN_LONG_CALL_S = 7200.0  # one call that may have much to do: write a report of millions of cells
PLUGIN_GRACE_S = 5.0  # after this time, in which an interrupted call may clean up, the command ends
RENEW_EVERY_S = 1.0  # while a download receives bytes, the time of a call begins again this often
TRIAL_S = 60.0  # the first import of a plugin, in a child process
TRIAL_END_S = 5  # this much later a trial ends by itself, if the command that should end it was killed
SETTLE_S = 0.1  # for threads and children of an import that are about to end
IMPORT_TEST_S = 60.0  # for `doctor` to import torchvision in a child process
SPACE_WAIT_S = 60.0  # for another thread to return from the code of another plugin
RULE_S = 120.0  # one rule of `plugin check`, and each call of its process
MAX_WATCHED_FOLDERS = 4_000  # folders next to a plugin that are watched for files that it opens
MAX_WATCHED_ENTRIES = 200_000  # entries of all these folders: a folder of a million images is listed only in part
MAX_FILES_BESIDE_PLUGIN = 200  # Python files next to a plugin that are sent to a Dask worker

# -- processes of a run -----------------------------------------------------------------------------------------------

PROCESS_START_S = 120.0  # to import torch on a busy machine, or from a slow network disk
PREPARE_S = 600.0  # for a method that is prepared on a Dask worker
PROCESS_END_S = 1.0  # for a process to end by itself
KILLED_S = 5.0  # for a killed process to disappear
SILENT_BENCH_S = 3 * PROCESS_START_S  # after --timeout: everything that a cell needs must have started
HANGING_BENCH_S = 10.0  # a bench ends what takes too long; a bench that hangs is ended this much later
ANSWER_REST_S = 1.0  # for the rest of an answer whose first part has arrived
SERVER_IDLE_S = 600.0  # a notebook that is idle this long does not wait for the server of its processes
MAX_ANSWER_BYTES = 1 << 36  # bytes of an answer; a longer one is not valid
MAX_SERVER_MESSAGE_BYTES = 64 * 1024  # bytes of a message between the server of processes and its clients
# A method process that has grown this much is replaced between two cells, before it runs out of a resource.
MAX_GROWN_BYTES = 2**30  # bytes of memory more than after the first cell
MAX_OPEN_FILES = 256  # open files
MAX_CHILDREN = 32  # child processes
RESCORED_IMAGE_S = 600.0  # to score one stored output under all rules
DASK_CONNECT_S = 10.0  # to reach a Dask scheduler
DASK_END_S = 10.0  # for the processes on Dask workers to end
NO_WORKER_S = 5.0  # for another Dask worker to appear after the last one is gone
PARALLEL_SENDS = 4  # connections to Dask workers; bounds the memory for files in transfer, here and in the scheduler
# In a training by several processes: for the first one's download and search for leaks. torchrun ends processes that
# wait in vain.
RANK_WAIT_S = 7200.0
MAX_WARMUP_S = 1.0  # seconds of the calls before a timed method counts as warm, and their number
MAX_WARMUPS = 10
MAX_BUILD_NOTES = 5  # notes of one method that is built
MAX_COMPILED_SIZES = 4096  # sizes of images that a network is compiled for, each separately
LITTLE_DISK_BYTES = 200 * 2**20  # bytes of free disk space below which `doctor` warns
LITTLE_MEMORY_BYTES = 2**30  # bytes of free memory below which `doctor` warns

# -- messages from other processes -------------------------------------------------------------------------------------

LONGEST_TEXT_BYTES = 64 * 1024  # bytes of UTF-8 of an error's message or traceback
AROUND_BYTES = 1024  # bytes that may be added to a text that was cut, before it is cut again

# -- published weights ------------------------------------------------------------------------------------------------

MAX_WEIGHTS_BYTES = 4 * 1024**3  # bytes of one weights file: the largest published denoisers have 0.6 GB
MAX_WEIGHTS_GROWTH = 4  # bytes in memory for each byte of a file: torch.save compresses nothing ...
WEIGHTS_ALLOWANCE_BYTES = 64 * 1024**2  # ... plus these bytes, for small files with expanded tensors
MAX_WEIGHTS_TENSORS = 100_000  # tensors in one file, those of its optimiser included
MAX_WEIGHTS_RECORDS = 200_000  # members of one ZIP archive: torch.save writes one for each tensor, and a few more
MAX_PICKLE_BYTES = 16 * 1024**2  # bytes of the pickle that names the tensors: some 150 for each tensor
MAX_PICKLE_STEPS = 3_000_000  # instructions of that pickle: some 30 for each tensor, seconds in all
MAX_SAFETENSORS_HEADER_BYTES = 16 * 1024**2  # bytes of the JSON header of a safetensors file
MAX_STATE_DEPTH = 4  # tables within tables in which the states of a file are looked for
MAX_STATE_ENTRIES = 1_000_000  # entries of these tables in all
WEIGHTS_HEAD_BYTES = 4096  # bytes at the start of a file by which its kind is found
MAX_COMPARED_NETWORKS = 32  # networks of one method that a state is compared with

# -- stores of results, and JSON files ---------------------------------------------------------------------------------

MAX_STORED_TEXT_BYTES = 64 * 1024**2  # bytes of one text in a store: the facts of a run name every image
MAX_JSON_BYTES = 256 * 1024**2  # bytes of one JSON file: a run's or a timing's
MAX_SCHEMA_ROWS = 100  # tables and indices of a store; ours has 16, and more are never listed
MAX_DIGITS = 17  # decimals that a metric is shown with: float64 has no more
MAX_STORE_NAME = 100  # characters of a run's name: 80, and a number behind it
STORE_BUSY_S = 60.0  # seconds to wait for other processes that use a store
UNUSED_AFTER_S = 3600.0  # seconds: younger files of a store may belong to a run that has not stored their rows yet
# SQLite counts its own steps, about 50 million a second. A valid store needs a number that grows with its size, about
# 0.2 steps per byte. A file that was built to be read forever exceeds the limit.
READ_STEPS = 20_000_000  # steps of one query; STEPS_PER_BYTE times the bytes of the file are added
WRITE_STEPS = 1_000_000_000  # steps of one transaction, likewise
STEPS_PER_BYTE = 20

# -- files that results depend on -------------------------------------------------------------------------------------

MAX_COUNTED_FILES = 100_000  # files of one manifest: the largest plugin with all its data has some thousands
MAX_DECLARED_FILES = 1000  # files in the field `files` of one spec: each is compared by every command
MAX_COUNTED_BYTES = 64 * 1024**3  # bytes of a file that a method uses: its digest takes a minute
MAX_RECORDED_PROCESSES = 64  # processes of a method whose files are compared with those of its next process
