import json
from importlib import resources

import pytest

from soars_nnunet.naming.organ_names import guess_name, is_planning, read_name, split_words
from soars_nnunet.profile import Profile, load_profile

CLINICAL = """
Brainstem: Brain_Stem, BRAINSTEM, brain stem, BrainStem, OAR_Brainstem, Hirnstamm, Tronc cerebral, Tronc
  Cérébral, Tronco encefalico, Hersenstam, Truncus cerebri, Stem_Brain, Brainstem_new, Brainstem_Core,
  01_Brainstem, Tronco
Cerebellum: CEREBELLUM, Kleinhirn, Cervelet, Cervelletto, Cerebelo, Kleine hersenen
Eye_L: LT EYE, Left Eye, Eye Lt, EyeL, Eye-Left, L_Eye, LEYE, EYEL, Eyeball_L, Globe_L, Left Globe, Auge links,
  Auge li, Oeil G, Œil gauche, Occhio sx, Ojo izquierdo, Oog links, Bulbus oculi sin., Orbita L, Eye (Left),
  linkes Auge
Eye_R: RT EYE, Right_Eye, Eye.R, REye, Globe R, Auge re, oeil droit, Occhio dx, Ojo derecho, Oog rechts, rechtes
  Auge
Bone_Mandible_L: Mandible Lt, L Mandible, Left_Mandible, MandibleL, Mandibula li, Unterkiefer links, Mandibule
  gauche, Mandibola sx, Bone_Mandible_L, Onderkaak links
Bone_Mandible_R: Mandible (R), Unterkiefer re, RT_MANDIBLE, Mandibule D
SpinalCord: Spinal_Cord, SPINAL CORD, Cord, spinal-cord, Cord_Spinal, Myelon, Medulla spinalis, Rückenmark,
  Rueckenmark, Moelle epiniere, Moelle Épinière, Moelle, Ruggenmerg, Midollo spinale, Medula espinal, SpCord,
  Sp. Cord, OAR Spinal Cord
Joint_TM_L: TMJ L, L TMJ, LT TMJ, TMJ_Lt, LTMJ, Left TM Joint, TMJoint_L, Temporomandibular Joint Left,
  Kiefergelenk links, ATM gauche, Kaakgewricht li, T.M.J. left
Joint_TM_R: TMJR, RTMJ, ATM D, TMJ-right, Kiefergelenk re, ATM dx
BrachialPlex_L: Brachial Plexus L, LT BRACHIAL PLEXUS, L_BrachialPlexus, Plexus brachialis li, Plexus brachial
  gauche, Plesso brachiale sx, BrachPlexus_L, BrachialPlex_Lt, Plexo braquial izq
BrachialPlex_R: Brach Plex R, RightBrachialPlexus, Plexus_brachialis_re, Brachial Plexus (Right)
BasalGanglia_L: Basal Ganglia Left, Lt Basal Ganglia, Basalganglien li, Ganglia_Basal_L
BasalGanglia_R: R_BasalGanglia, Basal ganglia re
Musc_Constrict_I: Inferior Constrictor, Constrictor_Inf, PharConst_I, PharynxConst_Inf, IPC, Inf Pharyngeal
  Constrictor, Musc_Constrict_I, M. constrictor pharyngis inferior, PCM_Inf
Musc_Constrict_M: Middle Constrictor, Mid_Constrictor, PharConst_M, Pharyngeal Constrictor Middle, MPC, PCM_Mid
Musc_Constrict_S: Superior Constrictor, Pharyngeal constrictor muscle superior, PharConst_S, SupConstrictor,
  PCM_Sup, Constricteur supérieur, SPC
Epiglottis: EPIGLOTTIS, Epiglotte, Epiglottide, Kehldeckel
Esophagus: Oesophagus, ESOPHAGUS, Ösophagus, Œsophage, Esofago, Esófago, Slokdarm, Speiseröhre, Cervical
  Esophagus, Esoph
Hippocampus_L: Lt Hippocampus, HIPPOCAMPUS L, L_Hippocampus, Hippo_L, Hippocampe G, Hippocampus li, Ippocampo sx
Hippocampus_R: HippocampusR, Right hippocampus, Hipocampo dcho, Hippocampus_re
Larynx: LARYNX, Kehlkopf, Laringe, Strottenhoofd, OAR_Larynx, larynx core
Cavity_Oral: Oral Cavity, ORALCAVITY, OralCav, Oral_Cav, Mundhöhle, Mundhoehle, Cavité buccale, Cavo orale,
  Mondholte, Cavidad oral, Cavum oris
Parotid_L: LT PAROTID, Parotid Gland (L), Left Parotid, L Parotid, L.Parotid, Parotid-L, PAROTID_LT, ParotidL,
  PAROTIDL, LParotid, LPAROTID, lt_parotid_gland, Glnd_Parotid_L, GlndParotidL, Parotis links, Parotis li,
  Parotis_li, Gl. parotis li, Glandula parotis sinistra, Parotide gauche, Parotide G, Parotide sx, Parótida
  izquierda, Oorspeekselklier links, Ohrspeicheldrüse li., linke Parotis, OAR_Parotid_L, Parotid_L_new,
  Parotid_Left_Final, "Parotid, left", Parotid [L], parotid left, GLAND PAROTID LEFT, parotid_lft,
  ROI_Parotid_L, Parotis sin.
Parotid_R: RT PAROTID, Parotid Gland Right, R. Parotid, Gl. parotis re, Parotide droite, Parotide D, Parotide
  destra, Parotis rechts, Parotis_rts, Parotida derecha, rechte Parotis, RParotid, Parotid RT, PAROTID GLAND
  (R), Parotis dext.
Glnd_Submand_L: SMG L, SMG_L, LSMG, L_SMG, SMGL, Submandibular Gland Left, LT SUBMANDIBULAR, Submand_L,
  Submandibular_Lt, Glnd_Submandibular_L, Gl. submandibularis li, Sous-maxillaire G, Submandibulaire gauche,
  Sottomandibolare sx, SubmandL, Left Submandibular Gland, Submax L, Glande sous-mandibulaire gauche
Glnd_Submand_R: RT SMG, Submand. gland R, RSubmandibular, Submandibularis re, Submandibular_Gland_R,
  Sottomandibolare dx
Lobe_Temporal_L: Temporal Lobe L, TempLobe_L, LT TEMPORAL LOBE, Lobe_Temporal_L, Temporallappen li, Lobe
  temporal gauche, Lobo temporale sx, L Temp Lobe, TemporalLobeL
Lobe_Temporal_R: RightTemporalLobe, Temporal_lobe_right, Temp Lobe R, Lobus temporalis dexter
Glnd_Thyroid_L: Thyroid L, Left Thyroid, Thyroid_Lobe_L, LT_THYROID, Schilddrüse links, Thyroide gauche,
  Thyroid_Gland_L
Glnd_Thyroid_R: Thyroid Gland R, Thyroid_Right, R Thyroid Lobe, Tiroide dx, Schildklier rechts
Cochlea_L: LT COCHLEA, Cochlea li, L Cochlea, CochleaL, Left_Cochlea, COCHLEA (L), Cochlée gauche, Coclea sx
Cochlea_R: Cochlea RT, Cochlea re, Cochlea_right, RCochlea, Cochlee droite
Hypothalmus: Hypothalamus, HYPOTHALAMUS, Ipotalamo, Hypothalamus_OAR
Ear_Internal_L: Inner Ear L, Left Inner Ear, InnerEar_Lt, Ear_Inner_L, Innenohr links, Oreille interne G,
  EarInternalL, Internal Ear Left
Ear_Internal_R: RT INNER EAR, Innenohr re, InnerEarR, Orecchio interno dx
Glnd_Lacrimal_L: Lacrimal Gland L, LT LACRIMAL, Lacrimal_L, L_Lacrimal_Gland, Tränendrüse li, Glande lacrymale
  gauche, Traenendruese links, Ghiandola lacrimale sx, Traanklier links, LacrimalGlandL
Glnd_Lacrimal_R: Lacrimal R, Rt Lacrimal Gland, GlndLacrimal_R, Glandula lacrimalis dextra, Lachrymal gland
  right
OpticNrv_L: Left Optic Nerve, LT OPTIC NERVE, Optic Nerve L, OpticNrv_L, OpticNerveL, OpticNrvL, L Optic N, Opt
  Nerve L, OptNrv_L, N. opticus li, Nervus opticus sinister, Sehnerv links, Nerf optique gauche, Nervo ottico
  sx, Optic_N_L, Nervio óptico izquierdo, ON_L, Opticus links, Oogzenuw links, Nerve_Optic_L, L_OPT_NERVE, OPTIC
  NERVE (LEFT), LON
OpticNrv_R: OpticNrv_R, Rt optic nerve, Sehnerv re, Nerf optique D, N. opticus re., Optic_Nerve_Rt,
  R_OpticNerve, ON R
OpticChiasm: Chiasma, CHIASM, Optic Chiasma, Optic_Chiasm, Chiasma opticum, Chiasma optique, Chiasma ottico,
  OpticChiasm, Quiasma óptico, Chiasm_Optic, OAR_Chiasm, Sehnervenkreuzung
Pineal: Pineal Gland, Glnd_Pineal, Pineal body, Zirbeldrüse, Epiphyse, Corpus pineale, Glande pinéale
Pituitary: Hypophysis, Hypophyse, Pituitary Gland, PITUITARY, Glnd_Pituitary, Ipofisi, Hipófisis,
  Hirnanhangdrüse, Hypofyse
"""
"""Spellings as clinics have them, by organ of hn42."""

NOT_READ = """
PTV_Parotid_L, PTV70, CTV, GTV_T, Ring, Ring_5mm, Parotid_L_PRV3, PRV Brainstem, Brainstem_PRV,
SpinalCord_PRV05, Brainstem+3mm, Brainstem + 3 mm, Cord+5, opt_Parotid, optParotid_L, Parotid_L_opt, Parotids,
Parotid, Parotid L R, Parotid_L/R, Parotids_both, Parotis bds, Parotid_L-PTV, Parotid L minus PTV, Parotid_L~,
Parotid_L^Old, Parotid_L!, ~Parotid_L, zParotid_L, z_Parotid_L, avoid_Parotid_L, Parotid_L_old, Parotid_L_2,
Parotid_L1, Parotid_L_sub, Parotid_sup_L, Parotid_deep_L, Eyes, Eye, Lens_L, Lenses, Eye_L-Lens_L, Lungs, Body,
External, Skin, Orbital, Mandibular, Brain, Brain-Brainstem, Brainstem_L, Esophagus_R, SpinalCanal, Spinal
Canal, Canal_Spinal, Cord_Canal, Larynx_SG, Supraglottic larynx, Glottis, Larynx-PTV, Musc_Constrict, Pharyngeal
constrictors, Ear_Middle_L, Middle Ear L, Ear L, External Ear R, Nasal Cavity, Optic_L, Optics, OpticTract_L,
Lacrimal sac L, Retina_L, Cornea_R, Tongue, Sternocleidomastoid_L, SCM_L, Submental, Sublingual_L, Temporal bone
L, Musc_Temporal_L, Frontal lobe L, Parathyroid_L, Hippocampus_L_PRV, Hippocampi, Thalamus_L, Dose 95%, 5000cGy,
isodose 50, Couch, Bolus, A_Carotid_L, Bone_Hyoid, Trachea, Plexus lumbalis, Maxilla_L, Bone_Mandible_PTV,
Brachial artery L, Medulla, Lip_Upper, L, R, left, -, "", 腮腺, OAR, gland L, Glnd
"""
"""What is no organ of hn42: planning structures, parts and unions of organs, both sides, no side, other organs."""


def split_list(text):
    return [
        name.strip().strip('"')
        for name in text.replace('"Parotid, left"', "Parotid; left").replace("\n", " ").split(",")
    ]


def rows():
    for block in CLINICAL.strip().replace("\n  ", " ").splitlines():
        organ, _, names = block.partition(":")
        for name in split_list(names):
            yield name, organ


def test_the_list_is_long_and_has_every_organ():
    listed = list(rows())
    assert len(listed) > 300 and len(set(listed)) == len(listed)
    assert {organ for _, organ in listed} == {organ.name for organ in load_profile("hn42").organs}


@pytest.mark.parametrize(("name", "organ"), list(rows()))
def test_clinical_spellings_resolve(name, organ):
    found = load_profile("hn42").resolve(name)
    assert found and found.name == organ


@pytest.mark.parametrize("name", split_list(NOT_READ))
def test_what_is_no_organ_of_the_profile_does_not_resolve(name):
    assert load_profile("hn42").resolve(name) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("OpticNrv_L", ["optic", "nrv", "l"]),
        ("LTParotid", ["lt", "parotid"]),
        ("Gl. parotis (re)", ["gl", "parotis", "re"]),
        ("Épiphyse", ["epiphyse"]),
        ("Œsophage", ["oesophage"]),
        ("PRV3", ["prv", "3"]),
        ("01_Cord", ["cord"]),
        ("", []),
        ("Cord+5", None),
        ("腮腺", None),
    ],
)
def test_words_of_a_name(name, words):
    assert split_words(name) == words


@pytest.mark.parametrize(
    ("name", "organ", "side"),
    [
        ("Parotis_li", "Parotid", "L"),
        ("links Parotis", "Parotid", "L"),
        ("Lens dx", "Lens", "R"),
        ("Mandible", "Bone_Mandible", None),
    ],
)
def test_a_reading_has_organ_and_side(name, organ, side):
    reading = read_name(name)
    assert (reading.organ, reading.side, reading.is_known) == (organ, side, True)


def test_unknown_organs_are_read_as_words_and_side():
    assert read_name("Nose Tip Left") == read_name("L_nose_tip") != read_name("nose_tip_R")
    assert not read_name("Nose tip").is_known
    assert read_name("Nose L R") is read_name("left") is read_name("Nose+3") is None


@pytest.mark.parametrize(
    ("name", "guess"),
    [("Brainsteam", ("Brainstem", None)), ("Parotd_L", ("Parotid", "L")), ("Optic nevre re", ("OpticNrv", "R"))],
)
def test_misspelt_names_are_guessed_but_not_read(name, guess):
    found = guess_name(name)
    assert (found.organ, found.side) == guess and not read_name(name).is_known


@pytest.mark.parametrize("name", ["PTV_Parotid_L", "Parotid_L_PRV3", "Brainstem+3mm", "opt_Parotid", "Ring", "Dose 95"])
def test_nothing_is_guessed_of_planning_structures(name):
    assert is_planning(name) and guess_name(name) is None


def test_the_profiles_organs_are_in_the_table_and_spelled_alike_with_each_side():
    for name in ("hn42", "hn_clinic", "miccai2015", "openkbp7"):
        for organ in load_profile(name).organs:
            reading = read_name(organ.name)
            assert reading.is_known and reading.side == organ.side
            base = organ.name.removesuffix(f"_{organ.side}")
            assert reading.organ == base


def test_the_table_has_no_word_twice():
    data = json.loads((resources.files("soars_nnunet.plans") / "organ_names.json").read_text(encoding="utf-8"))
    left, right = (set(data["sides"][side]) for side in "LR")
    assert not left & right
    passed_over = {word for words in data["passed_over"].values() for word in words}
    assert not passed_over & (left | right | set(data["planning"]))


def test_own_profiles_are_found_by_what_their_names_are_read_as():
    rows = [
        {"name": "Parotis_li", "label": 1, "paper_name": "gland", "tier": "anchor", "mirror": "Parotis_re"},
        {"name": "Parotis_re", "label": 2, "paper_name": "other gland", "tier": "anchor", "mirror": "Parotis_li"},
        {"name": "Larynx", "label": 3, "paper_name": "larynx", "tier": "anchor"},
        {"name": "Larynx_core", "label": 4, "paper_name": "core", "tier": "anchor"},
        {"name": "Nose_L", "label": 5, "paper_name": "nose", "tier": "anchor"},
    ]
    profile = Profile.from_dict({"name": "own", "organs": rows})
    found = {
        name: profile.resolve(name) for name in ("LT PAROTID", "Parotide D", "left nose", "Kehlkopf", "larynx-core")
    }
    assert {name: organ and organ.name for name, organ in found.items()} == {
        "LT PAROTID": "Parotis_li",
        "Parotide D": "Parotis_re",
        "left nose": "Nose_L",
        "Kehlkopf": None,  # of two organs that are read alike neither is taken
        "larynx-core": "Larynx_core",
    }


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("Brainsteam", ("Brainstem",)),
        ("Parotd_L", ("Parotid_L",)),
        ("Parotid", ("Parotid_L", "Parotid_R")),
        ("PTV_Parotid_L", ()),
        ("Lens_L", ()),
        ("LT PAROTID", ()),
    ],
)
def test_did_you_mean(name, suggested):
    assert load_profile("hn42").suggest(name) == suggested
