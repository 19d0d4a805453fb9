"""What may be configured, as typed dataclasses: the schema of every YAML in `conf/`.

Hydra checks types and unknown keys against these classes; `validation.py` checks what types cannot say. Below
the command line nothing sees a `DictConfig`. A field without a default is required: the user says it, nobody guesses.
Every field's meaning stands beside it here and in `conf/KEYS.md` (a test compares the two).
"""

from dataclasses import dataclass, field, fields
from typing import Any

from workbench.decisions import CalibrationConfig, EnsembleConfig, ThresholdConfig
from workbench.evaluation.settings import CompareConfig, CostsConfig, LearningCurveConfig, SlicesConfig
from workbench.families import (
    FamilyConfig,
    LightGBMConfig,
    LogisticRegressionConfig,
    NetworkConfig,
    RandomForestConfig,
    XGBoostConfig,
)
from workbench.governance.settings import AccessConfig, KeysConfig
from workbench.networks import SequenceConfig, TorchMLPConfig, TransformerConfig, WideDeepConfig
from workbench.release.sagemaker_config import SageMakerConfig
from workbench.release.settings import GuardrailsConfig, ReleaseConfig
from workbench.running import RunningConfig
from workbench.tuning.config import TuneConfig
from workbench.unsupervised import AutoencoderConfig, IsolationForestConfig

MEMBERS = ("xgboost", "torch_mlp", "keras_mlp")  # of the ensemble, where nothing else is said
REQUIRED: Any = "???"  # OmegaConf's mark for "the user must say"


@dataclass
class ColumnConfig:
    """One column of a data set and its contract."""

    type: str = REQUIRED  # integer | number | money | string | timestamp
    source: str | None = None  # the column's name in the file, where it differs
    nulls: bool = False  # whether a null is allowed
    minimum: float | None = None  # smallest allowed value (money: minor units)
    maximum: float | None = None  # largest allowed value (money: minor units)
    decimals: int = 2  # money: digits after the point in the file (12.34); 0 where the file holds minor units
    categories: list[str] | None = None  # the only allowed values of a string column
    unique: bool = False  # whether every value may occur once only
    ordered: bool = False  # whether values never decrease from row to row
    description: str = ""  # one sentence for the API's schema and the report
    example: str | None = None  # a value for the API's example


@dataclass
class BenchmarkConfig:
    """Size and seed of the generated card-fraud benchmark; the defaults give the published data exactly."""

    customers: int = 5000  # number of customers
    terminals: int = 10000  # number of terminals
    days: int = 183  # length in days
    start: str = "2018-04-01"  # first day
    radius: float = 5.0  # a customer uses the terminals nearer than this, on a square of side 100
    seed: int = 0  # 0 gives the published data; any other number gives unseen data of the same process


@dataclass
class SourceConfig:
    """Where the rows come from."""

    kind: str = REQUIRED  # benchmark (generated) | file
    path: str | None = None  # file: a file or a folder, local or s3://
    format: str | None = None  # file: csv | parquet | jsonl; by the extension when null
    ignore: list[str] = field(default_factory=list)  # file: columns that are left out on purpose
    nulls: list[str] = field(default_factory=lambda: [""])  # csv: texts that mean "no value"
    benchmark: BenchmarkConfig = field(default_factory=BenchmarkConfig)


@dataclass
class LabelConfig:
    """Where the label is in the source, and how late it becomes known."""

    column: str | None = None  # file: the label's column; it goes to the label ledger, never into the events
    positive: str | None = None  # file: the value that means 1
    negative: str | None = None  # file: the value that means 0
    delay_days: float = REQUIRED  # known time = event time + this


@dataclass
class ClockConfig:
    """The declared clock of a source that has none: rows are spaced evenly, in file order."""

    start: str = REQUIRED  # time of the first row, RFC 3339
    step_s: float = REQUIRED  # seconds from row to row


@dataclass
class VersionsConfig:
    """Several rows of one id are versions of one fact, each known from its `known_time` until the next one's."""

    operation: str | None = None  # column that says what became of the fact; null: it is never deleted
    deleted: str | None = None  # the value of that column which says that the fact is deleted


@dataclass
class SplitConfig:
    """Which rows train, select and test a model."""

    kind: str = REQUIRED  # time (blocks of days) | stratified (by a hash of the id, within each class)
    train_start: str | None = None  # time: first day of the final training block
    select_start: str | None = None  # time: first day of the training block that selects rounds, epochs and weights
    train_days: int = 7  # time: days in a training block
    history_days: int = 0  # time: days before a training block whose rows train as well; they change no scored row
    delay_days: int = 7  # time: days between a training block and the block it is scored on
    score_days: int = 7  # time: days in the block that is scored
    exclude_known: str | None = None  # time: entity column; those known as positive leave the scored rows
    validation_share: float = 0.2  # stratified: of the rows, those that select rounds, epochs and weights
    test_share: float = 0.2  # stratified: of the rows, those that judge
    seed: int = 0  # of the hashes by which ids or groups are dealt
    folds: int = 1  # stratified: parts of the rows that do not test, each scored by fits on the others; 1: validation
    test_place: int = 0  # stratified: which share of that size is the test part, from 0: 5 places of .2 make 5 folds
    group: str | None = None  # entity column no value of which lies on both sides; time: shares are of its values


@dataclass
class DataConfig:
    """One data set: its columns and contract, roles, clocks, label and split."""

    name: str = REQUIRED  # its name in keys, tables and reports
    source: SourceConfig = field(default_factory=SourceConfig)
    columns: dict[str, ColumnConfig] = field(default_factory=dict)
    id: str = REQUIRED  # column that names a row
    numbered: bool = False  # the source has no id: rows are numbered in file order
    event_time: str = REQUIRED  # column of the event time; made from `clock` where that is set
    known_time: str | None = None  # column of the known time; the event time when null
    clock: ClockConfig | None = None
    versions: VersionsConfig | None = None
    entities: list[str] = field(default_factory=list)  # columns that name a customer, terminal, ...
    label: LabelConfig = field(default_factory=LabelConfig)
    bad_rows_limit: float = 0.001  # largest share of rows that may break the contract
    split: SplitConfig = field(default_factory=SplitConfig)


@dataclass
class FeatureConfig:
    """One feature, or one per window or category, by the rule of its kind in `conf/features/README.md`."""

    name: str = REQUIRED  # a windowed kind appends its window (name_7d), one_hot its category (name=A1)
    kind: str = REQUIRED  # what it is; the kinds and their formulas are in conf/features/README.md
    column: str | None = None  # the source column, where the kind needs one; lookup: the table's column
    table: str | None = None  # lookup: the name of the table in features.tables
    function: str | None = None  # function: the Python function that computes it, as package.module:name
    columns: list[str] = field(default_factory=list)  # function: the columns that it is given
    where: str | None = None  # windowed: only events that meet this, such as "amount_minor > 22000 and channel == web"
    empty: float | None = None  # the value where there is nothing; to be said by kinds without a natural one
    nulls: str | None = None  # windowed: nulls of the column are left out (skip) or count as 0 (zero)
    last_hour: int = 6  # night: the last hour (0-23) that still counts as night
    zone: str = "UTC"  # calendar parts: the time zone in which they are read
    holidays: list[str] = field(default_factory=list)  # holiday: the dates, in that zone
    of: list[str] | None = None  # previous: features of the set that are shown; null: all others


@dataclass
class ViewConfig:
    """A feature view: features that share an entity, windows and a delay."""

    name: str = REQUIRED  # its name in keys, tables and reports
    entity: list[str] = field(default_factory=list)  # the columns that together name an entity; none: the row alone
    windows: list[str] = field(default_factory=list)  # lengths of the windows: a whole number of s, m, h or d
    delay: str = "0d"  # the window ends this long before the event
    current_row: bool = False  # whether the row itself is in its window (delay 0 only)
    features: list[FeatureConfig] = field(default_factory=list)
    events: int | None = None  # previous: how many earlier events of the entity are shown


@dataclass
class TableConfig:
    """A slow dimension, joined to each event as of its time: what held and was known of a terminal, a merchant, ..."""

    path: str = REQUIRED  # a file or a folder of CSV, Parquet or JSON lines, local or s3://
    format: str | None = None  # csv | parquet | jsonl; by the extension when null
    ignore: list[str] = field(default_factory=list)  # columns of the file that are left out on purpose
    nulls: list[str] = field(default_factory=lambda: [""])  # csv: texts that mean "no value"
    key: list[str] = field(default_factory=list)  # columns that say which rows are meant, named as in the events
    valid_from: str = REQUIRED  # column of the time from which a row holds
    valid_until: str | None = None  # column of the time at which it no longer holds (a null: never); null: never
    known_time: str | None = None  # column of the time from which a row is known; valid_from when null
    columns: dict[str, ColumnConfig] = field(default_factory=dict)


@dataclass
class FeaturesConfig:
    """All feature views of a model, in the order of the model's inputs."""

    version: int = 1  # raise it when a definition changes its meaning
    views: list[ViewConfig] = field(default_factory=list)
    tables: dict[str, TableConfig] = field(default_factory=dict)


@dataclass
class TrainConfig:
    """Which model families are trained, and how."""

    families: list[str] = field(default_factory=lambda: list(MEMBERS))  # names of the sections below
    seeds: list[int] = field(default_factory=lambda: [0])  # of fits that chance matters to; the first is registered
    ensemble: EnsembleConfig = field(default_factory=EnsembleConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    xgboost: XGBoostConfig = field(default_factory=XGBoostConfig)
    lightgbm: LightGBMConfig = field(default_factory=LightGBMConfig)
    random_forest: RandomForestConfig = field(default_factory=RandomForestConfig)
    logistic_regression: LogisticRegressionConfig = field(default_factory=LogisticRegressionConfig)
    torch_mlp: TorchMLPConfig = field(default_factory=TorchMLPConfig)
    keras_mlp: NetworkConfig = field(default_factory=NetworkConfig)
    keras_wide_deep: WideDeepConfig = field(default_factory=WideDeepConfig)
    lstm: SequenceConfig = field(default_factory=SequenceConfig)
    lstm_attention: SequenceConfig = field(default_factory=SequenceConfig)
    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    isolation_forest: IsolationForestConfig = field(default_factory=IsolationForestConfig)


FAMILIES = tuple(
    one.name for one in fields(TrainConfig) if isinstance(one.type, type) and issubclass(one.type, FamilyConfig)
)


@dataclass
class EvaluateConfig:
    """How a model is judged."""

    protocol: str = "split"  # split (the data set's own) | prequential (time: refitted blocks) | kfold (stratified)
    fold_starts: list[str] = field(default_factory=list)  # prequential: first training day of each test fold
    select_starts: list[str] = field(default_factory=list)  # prequential: first training day of each validation fold
    folds: int = 5  # kfold: into how many parts the rows are dealt
    fold: int | None = None  # kfold: the one part that judges, from 0; null: each in turn, by a run of its own
    train_share: float = 1.0  # of the training rows, the newest (time) or the first by hash; above 1: older days too
    bootstrap_samples: int = 1000  # resamples behind each interval
    resample: str = "customers"  # customers (rows where the data knows none) | rows: what is drawn for an interval
    slices: SlicesConfig = field(default_factory=SlicesConfig)
    costs: CostsConfig = field(default_factory=CostsConfig)
    learning_curve: LearningCurveConfig = field(default_factory=LearningCurveConfig)
    published: str | None = None  # name of the published table that stands beside ours; in no model's key


@dataclass
class RegisterConfig:
    """What a model must show before it becomes a version."""

    threshold: ThresholdConfig = field(default_factory=ThresholdConfig)
    flagged_share: float = 0.01  # threshold.rule=flagged_share: share of the validation rows that is flagged
    score_tolerance: float = 1e-5  # largest difference between the bundle's scores and the framework's
    parity_rows: int = 10_000  # rows on which that is checked
    minimum_average_precision: float | None = None  # gate on the test figures


@dataclass
class ServeConfig:
    """The HTTP endpoint."""

    application: str = REQUIRED  # its name in Ray Serve and in the store
    host: str = "127.0.0.1"  # address that it listens on
    port: int = 8000  # port that it listens on
    replicas: int = 1  # processes that score; more than one needs state=redis
    state: str = "memory"  # memory | redis: where the features of entities are remembered
    redis_url: str = "redis://127.0.0.1:6379/0"  # of state=redis, without password (WORKBENCH_REDIS_PASSWORD)
    cpus_per_replica: float = 0.5  # logical CPUs that each replica reserves
    max_ongoing_requests: int = 1000  # requests that one replica works on at once, or that wait in it for their turn
    max_queued_requests: int = 400  # requests that may wait beside those; more are refused with 503
    ahead_days: float = 30.0  # an event so far ahead of the newest one (of now, if there is none) is refused with 422
    max_body_bytes: int = 262_144  # largest request body; a larger one is refused with 413
    version: str = "configured"  # configured | champion: the model of this config, or the release ledger's newest
    stay_up: bool = False  # keep serving until interrupted
    journal: str = "${oc.env:WORKBENCH_JOURNAL,.workbench/journal}"  # folder of records not yet in the tables
    compact_every_s: float = 5.0  # seconds between two commits of the journal to the tables
    running: RunningConfig = field(default_factory=RunningConfig)
    access: AccessConfig = field(default_factory=AccessConfig)
    guardrails: GuardrailsConfig = field(default_factory=GuardrailsConfig)


@dataclass
class ReplayConfig:
    """The traffic that is sent to the endpoint after deployment."""

    start: str | None = None  # time split: first day that is replayed; stratified: the test part is replayed
    days: int = 7  # time split: days that are replayed
    connections: int = 16  # connections that the client keeps open
    time_limit_s: float = 90.0  # seconds after which the replay gives up


@dataclass
class MonitorConfig:
    """When monitoring raises its voice."""

    minimum_judged: int = 1000  # decisions with matured labels below which performance says nothing
    false_alarm_rate: float = 0.01  # of the drift tests together, per run
    drift_floor: float = 0.02  # smallest population stability index that counts as drift
    performance_drop: float = 0.1  # relative fall of average precision below its test interval that counts
    latency_p99_ms: float = 50.0  # 99th percentile of the latency above which it counts as slow


@dataclass
class LeakcheckConfig:
    """What is checked for leaks: the experiment's own features, or any file that has a label."""

    path: str | None = None  # a file or folder to check, local or s3://; null: the experiment's features
    format: str | None = None  # csv | parquet | jsonl; by the extension when null
    label: str | None = None  # file: the label's column
    positive: str | None = None  # file: the label's value that means 1; of two values 1, true or yes, else the rarer
    time: str | None = None  # file: the column of the rows' time
    entities: list[str] = field(default_factory=list)  # file: columns that name a customer, shop, ...
    part: str | None = None  # file: the column that says which rows train and which test
    split: str | None = None  # what the split claims: random | time | entity; null: by data.split, or what is named
    delay_days: float = 0.0  # file: how long after the row's time its label is known
    accept: list[str] = field(default_factory=list)  # columns that a person has looked at: their leaks become notes
    cuts: int = 5  # times after which the future is rewritten
    driver_rows: int = 500_000  # rows of a snapshot that one process holds; of a larger one it takes samples by hash
    sample_rows: int = 200_000  # rows, drawn with a fixed seed, that the statistical tests look at
    false_alarm_rate: float = 0.01  # of all tests together: chance that a table without a leak is refused


@dataclass
class ScalingConfig:
    """What training runs on."""

    name: str = REQUIRED  # its name in keys, tables and reports
    workers: int = 2  # training workers
    min_workers: int | None = None  # go on with so few when nodes are lost, grow again when they are back; null: never
    max_failures: int = 2  # deaths of workers that a training survives, from its last checkpoint each time
    cpus_per_worker: float = 0.5  # logical CPUs of each worker; each whole one is a thread
    gpus_per_worker: float = 0.0  # GPUs of each worker
    ray_cpus: int | None = None  # logical CPUs of a Ray that we start ourselves; the machine's when null


@dataclass
class TrackerConfig:
    """Where runs are recorded besides the store."""

    mode: str = "offline"  # wandb | offline | disabled
    project: str = "ray-ai-workbench"  # the project that runs are listed under
    folder: str = "${oc.env:WORKBENCH_WANDB,.workbench/wandb}"  # where offline runs are written


@dataclass
class StorageConfig:
    """Where everything that is kept lies."""

    root: str = "store"  # local path or s3:// URI


@dataclass
class OutputConfig:
    """What a step leaves for machines."""

    json: str | None = None  # file that gets {"id", "uri", "figures"}


@dataclass
class Config:
    """Everything, as composed from `conf/config.yaml` and its groups."""

    name: str = REQUIRED  # the experiment's name in reports and trackers
    data: DataConfig = field(default_factory=DataConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    tune: TuneConfig = field(default_factory=TuneConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    compare: CompareConfig = field(default_factory=CompareConfig)
    register: RegisterConfig = field(default_factory=RegisterConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)
    release: ReleaseConfig = field(default_factory=ReleaseConfig)
    target: str = "serve"  # serve (Ray Serve, here or on the cluster) | sagemaker: where deploy brings a version
    sagemaker: SageMakerConfig = field(default_factory=SageMakerConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    leakcheck: LeakcheckConfig = field(default_factory=LeakcheckConfig)
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    keys: KeysConfig = field(default_factory=KeysConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
