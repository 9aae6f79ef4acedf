(async () => {
  "use strict";
  const root = document.getElementById("viewer");
  const place = document.getElementById("place");
  const fail = (text) => { root.dataset.state = "failed"; place.textContent = text; };
  if (!document.createElement("canvas").getContext("webgl2")) {
    fail("The viewer needs WebGL 2, which this browser does not offer; tables and slices are complete without it.");
    return;
  }
  try {
    const data = JSON.parse(document.getElementById("viewer-data").textContent);
    const { Niivue, NVImage } = niivue;
    const nv = new Niivue({
      backColor: [0, 0, 0, 1], isRadiologicalConvention: true, isColorbar: false, crosshairWidth: 0.5,
      multiplanarShowRender: 1, multiplanarLayout: 2, renderOverlayBlend: 1, dragAndDropEnabled: false, loadingText: "", logLevel: "error",
    });
    await nv.attachToCanvas(document.getElementById("niivue"));
    const ct = await NVImage.loadFromBase64({ base64: data.ct, name: "ct.nii.gz", colormap: "gray" });
    const labels = await NVImage.loadFromBase64({ base64: data.labels, name: "labels.nii.gz", opacity: 0.5 });
    const hidden = new Set();
    const colors = () => {
      const map = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: ["background"] };
      for (const organ of data.organs) {
        map.R.push(organ.rgb[0]); map.G.push(organ.rgb[1]); map.B.push(organ.rgb[2]);
        map.A.push(hidden.has(organ.label) ? 0 : 255); map.I.push(organ.label); map.labels.push(organ.name);
      }
      labels.setColormapLabel(map);
    };
    const setWindow = (name) => { [ct.cal_min, ct.cal_max] = data.windows[name]; };
    colors();
    setWindow(document.getElementById("window").value);
    nv.addVolume(ct);
    nv.addVolume(labels);
    const names = new Map(data.organs.map((organ) => [organ.label, organ.name]));
    nv.onLocationChange = (at) => {
      const [hu, label] = at.values.map((entry) => entry.value);
      const [x, y, z] = at.mm;
      const organ = names.get(Math.round(label));
      place.textContent = `${organ ?? "no organ"}; about ${Math.round(hu)} HU; LPS ${(-x).toFixed(1)}, ${(-y).toFixed(1)}, ${z.toFixed(1)} mm`;
    };
    const types = { multi: nv.sliceTypeMultiplanar, axial: nv.sliceTypeAxial, coronal: nv.sliceTypeCoronal,
      sagittal: nv.sliceTypeSagittal, render: nv.sliceTypeRender };
    const opacity = document.getElementById("opacity");
    const setView = (view) => {
      for (const button of root.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === view));
      const organsAlone = view === "render";
      nv.setOpacity(0, organsAlone ? 0 : 1);
      nv.setOpacity(1, organsAlone ? 1 : Number(opacity.value));
      nv.setSliceType(types[view]);
    };
    for (const button of root.querySelectorAll("[data-view]")) button.onclick = () => setView(button.dataset.view);
    opacity.oninput = () => nv.setOpacity(1, Number(opacity.value));
    document.getElementById("window").onchange = (event) => { setWindow(event.target.value); nv.updateGLVolume(); };
    const list = document.getElementById("organs");
    for (const organ of data.organs) {
      const row = document.createElement("label"), box = document.createElement("input");
      const swatch = document.createElement("span"), jump = document.createElement("button");
      box.type = "checkbox"; box.checked = true; box.ariaLabel = `show ${organ.name}`;
      box.onchange = () => {
        if (box.checked) hidden.delete(organ.label); else hidden.add(organ.label);
        colors(); nv.updateGLVolume();
      };
      swatch.className = "swatch"; swatch.style.background = `rgb(${organ.rgb})`;
      jump.type = "button"; jump.className = "jump"; jump.textContent = organ.name;
      jump.onclick = (event) => {
        event.preventDefault();
        nv.scene.crosshairPos = nv.mm2frac(organ.center);
        nv.createOnLocationChange(); nv.drawScene();
      };
      row.append(box, swatch, jump);
      list.append(row);
    }
    const setAll = (checked) => {
      hidden.clear();
      if (!checked) for (const organ of data.organs) hidden.add(organ.label);
      for (const box of list.querySelectorAll("input")) box.checked = checked;
      colors(); nv.updateGLVolume();
    };
    document.getElementById("all").onclick = () => setAll(true);
    document.getElementById("none").onclick = () => setAll(false);
    if (data.organs.length) nv.scene.crosshairPos = nv.mm2frac(data.organs[0].center);
    setView("multi");
    nv.createOnLocationChange();
    root.dataset.state = "ready";
  } catch (error) {
    fail(`The viewer failed: ${error}`);
    throw error;
  }
})();
